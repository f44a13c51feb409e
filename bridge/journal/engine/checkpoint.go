package engine

import (
	"database/sql"
	"fmt"
	"sync/atomic"
)

// SQLite's log is copied back into the database file now and then. Left to itself SQLite does so inside a commit, for
// tens of milliseconds in which every caller waits. Here a connection of its own copies, little and often, while the
// writer goes on: a second of load is copied in some ten pieces. Because a log that is never quite copied would
// never start over, the writer itself copies the last pages once the log is long.
const (
	copyAfter = 1200 // pages, as estimated, between two copies
	longLog   = 4000 // pages (16 MB); half as much again may come in before it has started over
	pageSize  = 4096 // bytes
	perCommit = 10   // pages that a commit changes, however small it is: the ends of tables and indexes
	copyLog   = `PRAGMA wal_checkpoint(PASSIVE)`

	// LogTooLong is how many bytes the log has only when somebody has been reading in an old state of the journal for long.
	LogTooLong = 4 * longLog * pageSize
)

// LogPragmas are those of a connection whose log is copied by another.
func LogPragmas() []string {
	return []string{"wal_autocheckpoint(0)", fmt.Sprintf("journal_size_limit(%d)", 2*longLog*pageSize)}
}

// copier is the connection that copies. An error is left to the next attempt: nothing is lost while the log is there,
// and a disk that is full or gone shows in the commits.
type copier struct {
	db   *sql.DB
	wake chan struct{}
	done chan struct{}
	rest atomic.Bool // the log is long, and all but its last pages are copied; the writer clears it when the log is short

	uncopied int // pages, as estimated, since copying was last asked for; the writer's
}

func (c *copier) start() *copier {
	c.wake, c.done = make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(c.done)
		for range c.wake {
			if c.copy() >= longLog {
				c.copy() // what came in during the first
				c.rest.Store(true)
				select { // the writer must find nobody copying
				case <-c.wake:
				default:
				}
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

// wrote counts what a commit has put into the log: a page for each write, which is somewhere in an index, and whatever
// its bytes fill.
func (c *copier) wrote(writes, bytes int) {
	if c.uncopied += perCommit + writes + bytes/pageSize; c.uncopied < copyAfter {
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
