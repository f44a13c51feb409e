package app

import (
	"database/sql"
	"flag"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"einvoice-bridge/bridge/config"
)

var benchJournal = flag.String("journal", "", "journal for BenchmarkPages, empty and for it alone: postgres://…; SQLite by default")

// fillMillion makes a million entries of the last eleven days, a tenth of them told to try again first, and a call for
// each, past the journal's writer. $1 is the first one's time in microseconds.
var fillMillion = []string{
	`WITH RECURSIVE c(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM c WHERE i < 1000000)
	INSERT INTO entries (space, document, taxpayer, upstream, ref, caller, irn, reason, remarks, created, expires, started, who)
	SELECT 'irp', 'd' || substr(CAST(10000000 + i * 7919 % 10000000 AS TEXT), 2) || '0123456789012345678901234567890123456789012345678901234567890',
		CASE WHEN i % 5 = 0 THEN '09AAAPG7885R002' ELSE 'C25845632020' END, CASE WHEN i % 100 = 0 THEN 'myinvois' ELSE 'nic' END,
		'r' || CAST(i AS TEXT), 'erp', 'irn', '1', 'remarks', $1 + i * 1000000, CAST($1 AS BIGINT), $1 + i * 1000000, 'i' FROM c`,
	`INSERT INTO ends (entry, state, class, outcome, updated, next_lookup, told, version, sent_upstream, sent_ended, ask_ref, ask_caller,
		ask_irn, ask_reason, ask_remarks, ask_received, ask_class, ask_told, ask_told_at, ask_how)
	SELECT id, CASE WHEN id % 1000 = 0 THEN 'open' ELSE 'final' END,
		CASE WHEN id % 1000 = 0 THEN 'unknown' WHEN id % 20 = 1 THEN 'refused' ELSE 'cancelled' END, '{"date":"2026-11-22 10:00:00"}',
		created, CASE WHEN id % 1000 = 0 THEN CAST(4000000000000000 AS BIGINT) ELSE 0 END, CASE WHEN id % 3000 = 10 THEN 2 ELSE 1 END, 1,
		upstream, created, ref, caller, irn, reason, '', created,
		CASE WHEN id % 1000 = 0 THEN 'unknown' WHEN id % 20 = 1 THEN 'refused' ELSE 'cancelled' END, '{}', created, 'upstream'
		FROM entries WHERE created > $1`,
	`INSERT INTO asks (entry, ref, caller, taxpayer, space, document, irn, reason, remarks, received, class, told, told_at, how)
		SELECT id, 'a' || ref, caller, taxpayer, space, '', 'irn', '1', '', created, 'not_applied', '{}', created, 'upstream'
		FROM entries WHERE created > $1 AND id % 10 = 0`,
}

// BenchmarkPages asks the console for its pages over a million cancellations; a page of cancellations must take less
// than 100 ms.
func BenchmarkPages(b *testing.B) {
	_, path := sandboxed(b, nil)
	f, err := config.Load(path, FileKinds)
	if err != nil {
		b.Fatal(err)
	}
	if f.Journal = *benchJournal; f.Journal == "" {
		f.Journal = "sqlite:" + filepath.Join(b.TempDir(), "million.db")
	}
	a, err := New(b.Context(), f, Process{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer a.release()
	fillJournal(b, f.Journal)
	for name, path := range map[string]string{
		"newest": "/cancellations", "middle": "/cancellations?before=500000", "document": "/cancellations?document=d001234",
		"short-prefix": "/cancellations?document=d0", "taxpayer": "/cancellations?taxpayer=09AAAPG7885R002", "upstream": "/cancellations?upstream=myinvois&before=500000",
		"refused": "/cancellations?end=refused", "open": "/cancellations?end=open", "told-otherwise": "/cancellations?end=told_otherwise",
		"time":    "/cancellations?since=" + time.Now().Add(-5*24*time.Hour).Format("2006-01-02T15:04") + "&until=" + time.Now().Add(-5*24*time.Hour+time.Minute).Format("2006-01-02T15:04"),
		"nothing": "/cancellations?document=none&caller=erp&end=refused", "story": "/show?of=777777",
		"overview-24h": "/", "overview-30d": "/?span=30d",
	} {
		b.Run(name, func(b *testing.B) {
			var worst time.Duration
			for b.Loop() {
				w := httptest.NewRecorder()
				r := httptest.NewRequest("GET", path, nil)
				r.Host = "localhost"
				start := time.Now()
				a.console.Handler.ServeHTTP(w, r)
				worst = max(worst, time.Since(start))
				if w.Code != 200 {
					b.Fatalf("%d\n%s", w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
			if mean := b.Elapsed() / time.Duration(b.N); mean > 100*time.Millisecond && strings.HasPrefix(path, "/cancellations") {
				b.Errorf("takes %v", mean)
			}
		})
	}
}

func fillJournal(b *testing.B, dsn string) {
	b.Helper()
	driver := "pgx"
	if file, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", file
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	first := time.Now().Add(-1_000_001 * time.Second).UnixMicro()
	for _, query := range fillMillion {
		if _, err := db.ExecContext(b.Context(), query, first); err != nil {
			b.Fatal(err)
		}
	}
	if driver == "pgx" {
		if _, err := db.ExecContext(b.Context(), "VACUUM ANALYZE"); err != nil {
			b.Fatal(err)
		}
	}
}
