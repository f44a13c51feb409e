//go:build unix

package main

import (
	"regexp"
	"testing"
)

var journalLine = regexp.MustCompile(`(?m)^journal: .*$`)

// As in TestTruth while the journal is locked, with a PostgreSQL that hangs. Then nothing is on record for anybody.
func TestTruthWhilePostgresHangs(t *testing.T) {
	t.Parallel()
	pg := startPostgres(t)
	w := truthful(t, func(text string) string {
		return eightSeconds(journalLine.ReplaceAllLiteralString(text, `journal: "`+pg.DSN("postgres")+`"`))
	})
	do := func(what func() error) func() {
		return func() {
			if err := what(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(func() { _ = pg.Thaw() }) // of a test that broke off
	w.diskAway(false, do(pg.Freeze), do(pg.Thaw))
}
