package engine

import (
	"context"
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"einvoice-bridge/bridge/journal/place"
)

// desk is a writer on an SQLite file of one table.
type desk struct {
	*testing.T
	*Writer
	place *place.Place
	path  string
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, path: filepath.Join(t.TempDir(), "bridge.db")}
	p, err := place.Own(d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.place = p
	db := d.open("rwc", append(LogPragmas(), "journal_mode(WAL)")...)
	if _, err := db.Exec("CREATE TABLE leaves (n INTEGER PRIMARY KEY, text BLOB)"); err != nil {
		t.Fatal(err)
	}
	d.Writer = NewFileWriter(db, d.open("rw"), p, time.Now, func(err error) error { return err })
	t.Cleanup(func() {
		if d.Writer != nil {
			_ = d.Close()
		}
		_ = db.Close()
		_ = p.Close()
	})
	return d
}

func (d *desk) open(mode string, pragmas ...string) *sql.DB {
	d.Helper()
	db, err := place.Open(d.path, mode, 1, pragmas...)
	if err != nil {
		d.Fatal(err)
	}
	return db
}

// fillLog writes rows that fill SQLite's log: 100 pages each.
func (d *desk) fillLog(from, to int) {
	d.Helper()
	for n := from; n < to; n++ {
		err := d.Write(context.Background(), 0, func(t *Tx) error {
			t.Exec("INSERT INTO leaves (n, text) VALUES ($1, $2)", n, make([]byte, 400<<10))
			return nil
		}, nil)
		if err != nil {
			d.Fatal(err)
		}
	}
}

// inStep returns when the log is being copied for the last time that was asked for.
func (d *desk) inStep() {
	for c := d.db.(*file).copier; len(c.wake) > 0; {
		time.Sleep(100 * time.Microsecond)
	}
}

// lap is how often the log has started over: the "checkpoint sequence number" of SQLite's file format, in the log's header.
func (d *desk) lap() uint32 {
	d.Helper()
	log, err := os.Open(d.path + "-wal")
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	var header [16]byte
	if _, err := log.ReadAt(header[:], 0); err != nil {
		d.Fatal(err)
	}
	return binary.BigEndian.Uint32(header[12:])
}

// However much is written, SQLite's log starts over when it is long (some 16 MB), and nothing is missing afterwards. How
// much comes in during one copy is the disk's affair and the load's: here it is as much as has the next one asked for.
func TestLogStartsOver(t *testing.T) {
	d := newDesk(t)
	var longest int64
	const rows = 400
	for i := range rows {
		d.fillLog(i, i+1)
		d.inStep()
		longest = max(longest, d.place.LogBytes())
	}
	if longest < 8<<20 || longest > 32<<20 {
		t.Errorf("after %d MB the log has grown to %d MB", rows*400>>10, longest>>20)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d.Writer = nil
	db := d.open("ro")
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM leaves WHERE length(text) = $1", 400<<10).Scan(&n); err != nil || n != rows {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A reader left open lets the log grow, which shows; when it has gone the log is cut again.
func TestLogOfALongReader(t *testing.T) {
	d := newDesk(t)
	db := d.open("ro")
	defer db.Close()
	reader, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := reader.QueryRow("SELECT count(*) FROM leaves").Scan(&n); err != nil {
		t.Fatal(err)
	}
	d.fillLog(0, 200)
	if n := d.place.LogBytes(); n < LogTooLong {
		t.Errorf("with a reader the log has %d MB", n>>20)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	d.fillLog(200, 400)
	if n := d.place.LogBytes(); n > LogTooLong/2 {
		t.Errorf("without the reader the log still has %d MB", n>>20)
	}
}
