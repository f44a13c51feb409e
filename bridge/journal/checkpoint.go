package journal

import (
	"database/sql"
	"sync/atomic"
)

// SQLite's log is copied back into the database file now and then. Left to itself SQLite does so inside a commit, for
// tens of milliseconds in which every caller waits. Here a connection of its own copies, little and often, while the
// writer goes on: a second of load is copied in some ten pieces. Because a log that is never quite copied would
// never start over, the writer itself copies the last pages once the log is long.
const (
	copyAfter = 1000 // writes between two copies; a large one counts for several
	longLog   = 4000 // pages (16 MB); half as much again may come in while they are copied
	pageSize  = 4096 // bytes
	copyLog   = `PRAGMA wal_checkpoint(PASSIVE)`
)

// copier is the connection that copies. An error is left to the next attempt: nothing is lost while the log is there,
// and a disk that is full or gone shows in the commits.
type copier struct {
	db   *sql.DB
	wake chan struct{}
	done chan struct{}
	rest atomic.Bool // the log is long, and all but its last pages are copied

	uncopied int // writes since copying was last asked for; the writer's
}

func (c *copier) start() *copier {
	c.wake, c.done = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(c.done)
		for range c.wake {
			if c.copy() >= longLog {
				c.rest.Store(c.copy() >= longLog) // what came in during the first is copied by the second
			}
		}
	}()
	return c
}

// copy brings what is committed into the database file, as far as no reader still needs the old, and returns the length
// of the log in pages.
func (c *copier) copy() (pages int) {
	var busy, copied int
	if err := c.db.QueryRow(copyLog).Scan(&busy, &pages, &copied); err != nil {
		return 0
	}
	return pages
}

// wrote counts the writes of a commit and the bytes in them.
func (c *copier) wrote(n, bytes int) {
	if c.uncopied += n + bytes/pageSize; c.uncopied < copyAfter {
		return
	}
	c.uncopied = 0
	select {
	case c.wake <- struct{}{}:
	default: // it is still copying
	}
}

// stop is called when the writer has ended.
func (c *copier) stop() error {
	close(c.wake)
	<-c.done
	return c.db.Close()
}
