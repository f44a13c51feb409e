package soap

func (r *reading) readHeader() *Fault { return r.skip() }
