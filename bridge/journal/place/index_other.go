//go:build !linux

package place

// index stays where SQLite puts it.
type index struct{}

func (*Place) keepIndex() error { return nil }

func (*Place) joinIndex() error { return nil }

func (*Place) leaveIndex() error { return nil }

// StillServed ends what a command reads by the index of a service that has gone: here it reads by SQLite's own.
func (*Place) StillServed() error { return nil }
