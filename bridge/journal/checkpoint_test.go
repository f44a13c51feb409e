//go:build unix

package journal_test

import (
	"database/sql"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge/journal"
)

// fillLog writes rows that fill SQLite's log: 100 pages each.
func (b *bench) fillLog(from, to int) {
	b.Helper()
	for ref := from; ref < to; ref++ {
		if err := b.Do(b.Context(), "INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, "+
			"told_at, how, soap_in) VALUES (0, $1, '', '', '', '', '', '', '', 0, 'none', '{}', 0, '', $2)", ref, make([]byte, 400<<10)); err != nil {
			b.Fatal(err)
		}
	}
}

// lap is how often the log has started over: the "checkpoint sequence number" of SQLite's file format, in the log's header.
func (b *bench) lap() uint32 {
	b.Helper()
	log, err := os.Open(strings.TrimPrefix(b.dsn, "sqlite:") + "-wal")
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	var header [16]byte
	if _, err := log.ReadAt(header[:], 0); err != nil {
		b.Fatal(err)
	}
	return binary.BigEndian.Uint32(header[12:])
}

// However much is written, SQLite's log starts over when it is long (some 16 MB), and nothing is missing afterwards. How
// much comes in during one copy is the disk's affair and the load's: here it is as much as has the next one asked for.
func TestLogStartsOver(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	var longest int64
	const rows = 400
	for i := range rows {
		b.fillLog(i, i+1)
		b.InStep()
		longest = max(longest, b.LogBytes())
	}
	if longest < 8<<20 || longest > 32<<20 {
		t.Errorf("after %d MB the log has grown to %d MB", rows*400>>10, longest>>20)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", b.dsn[len("sqlite:"):])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM asks WHERE length(soap_in) = $1", 400<<10).Scan(&n); err != nil || n != rows {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A reader left open lets the log grow, which shows; when it has gone the log is cut again.
func TestLogOfALongReader(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	db, err := sql.Open("sqlite", strings.TrimPrefix(b.dsn, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := reader.QueryRow("SELECT count(*) FROM asks").Scan(&n); err != nil {
		t.Fatal(err)
	}
	b.fillLog(0, 200)
	if n := b.LogBytes(); n < journal.LogTooLong {
		t.Errorf("with a reader the log has %d MB", n>>20)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	b.fillLog(200, 400)
	if n := b.LogBytes(); n > journal.LogTooLong/2 {
		t.Errorf("without the reader the log still has %d MB", n>>20)
	}
}
