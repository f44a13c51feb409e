package journal

// Index is where SQLite keeps the index of the log.
func (j *Journal) Index() string { return j.place.Index() }
