//go:build unix

package journal_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge/journal"
)

// However much is written, SQLite's log starts over when it is long (some 16 MB), and nothing is missing afterwards.
func TestLogStartsOver(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	log := strings.TrimPrefix(b.dsn, "sqlite:") + "-wal"
	large := make([]byte, 400<<10)
	insert := "INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, " +
		"told_at, how, soap_in) VALUES (0, $1, '', '', '', '', '', '', '', 0, 'none', '{}', 0, '', $2)"
	var longest int64
	const rows = 400
	for i := range rows {
		if err := b.Do(b.Context(), insert, i, large); err != nil {
			t.Fatal(err)
		}
		if file, err := os.Stat(log); err == nil {
			longest = max(longest, file.Size())
		}
	}
	if longest < 8<<20 || longest > 32<<20 {
		t.Errorf("after %d MB the log has grown to %d MB", rows*len(large)>>20, longest>>20)
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
	if err := db.QueryRow("SELECT count(*) FROM asks WHERE length(soap_in) = $1", len(large)).Scan(&n); err != nil || n != rows {
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
	ref := 0
	fill := func() {
		for range 200 {
			ref++
			if err := b.Do(b.Context(), "INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, "+
				"told_at, how, soap_in) VALUES (0, $1, '', '', '', '', '', '', '', 0, 'none', '{}', 0, '', $2)", ref, make([]byte, 400<<10)); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill()
	if n := b.LogBytes(); n < journal.LogTooLong {
		t.Errorf("with a reader the log has %d MB", n>>20)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	fill()
	if n := b.LogBytes(); n > journal.LogTooLong/2 {
		t.Errorf("without the reader the log still has %d MB", n>>20)
	}
}
