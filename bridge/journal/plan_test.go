//go:build unix

package journal_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// scan is a walk through a whole table, by its name or what queries call it; others are of what a part of the query has found.
var scan = regexp.MustCompile(`^SCAN (e|x|entries|ends|attempts|asks)\b`)

// No list and none of the background's questions reads a whole table or sorts it, however long the journal gets.
func TestPlans(t *testing.T) {
	b := newBench(t, sqliteDSN(t))
	plans := map[string]string{}
	for name, f := range map[string]bridge.Filter{
		"document": {Document: "aa"}, "caller": {Caller: "sap"}, "taxpayer": {Taxpayer: "T1"}, "upstream": {Upstream: "nic"},
		"refused": {Class: bridge.Refused}, "open": {Open: true}, "waiting": {Waiting: true}, "told otherwise": {ToldOtherwise: true},
		"document of a taxpayer": {Document: "aa", Taxpayer: "T1"}, "refused of a caller": {Caller: "sap", Class: bridge.Refused},
		"open of a taxpayer": {Open: true, Taxpayer: "T1", Class: bridge.Unknown}, "page": {Taxpayer: "T1", Before: 1000},
	} {
		plan, err := b.Plan(t.Context(), f)
		if err != nil {
			t.Fatal(name, err)
		}
		plans[name] = plan
	}
	var err error
	if plans["background"], err = b.BackgroundPlans(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, plan := range plans {
		for _, line := range strings.Split(plan, "\n") {
			if scan.MatchString(line) && !strings.Contains(line, "ends_otherwise") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	for _, name := range []string{"refused", "open", "waiting", "told otherwise"} {
		if n := strings.Count(plans[name], "SEARCH e "); n != 1 {
			t.Errorf("%s: entries are read %d times, and not only those that are shown:\n%s", name, n, plans[name])
		}
	}
	for name, index := range map[string]string{
		"document of a taxpayer": "entries_document", "refused of a caller": "ends_class", "open of a taxpayer": "ends_open",
	} {
		if !strings.Contains(plans[name], index) {
			t.Errorf("%s doesn't use %s:\n%s", name, index, plans[name])
		}
	}
}

// PostgreSQL, which chooses by what it knows of the values, walks through one table from a page's end on: what it may join, it
// reads both tables of from their ends.
func TestServerPlans(t *testing.T) {
	b := newBench(t, postgresJournal(t))
	b.fill(4_000)
	b.is(b.Do(t.Context(), `ANALYZE`), nil)
	for name, f := range map[string]bridge.Filter{
		"cancelled": {Class: bridge.Cancelled, Before: 100}, "cancelled of a caller": {Class: bridge.Cancelled, Caller: "sap", Before: 100},
		"told otherwise": {ToldOtherwise: true}, "told otherwise of a caller": {ToldOtherwise: true, Caller: "sap"},
		"refused of a day": {Class: bridge.Refused, Since: now, Until: now.Add(time.Hour)},
	} {
		plan, err := b.ServerPlan(t.Context(), f)
		b.is(err, nil)
		if strings.Contains(plan, "Join") || strings.Contains(plan, "Nested Loop") || !strings.Contains(plan, "Index") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}
