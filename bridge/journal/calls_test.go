package journal_test

import (
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// A chart's segment leads to its calls: those that were told so in that time, each beside where it stands now.
func TestCallsByWhatTheyWereTold(t *testing.T) {
	onBoth(t, func(b *bench) {
		t, j := b.T, b.Journal
		e := b.begin("D1", true)
		ask := func(ref string, entry int64, at time.Time, class bridge.Class) bridge.Ask {
			return bridge.Ask{Ref: ref, Caller: "sap", Taxpayer: "T1", Key: e.Key, Entry: entry, Received: at, Told: bridge.Answer{Class: class, Ref: ref}, ToldAt: at, How: bridge.FromUpstream}
		}
		b.finish(e, bridge.Final, bridge.Outcome{Class: bridge.Cancelled, Date: "2026-11-22 17:30:00"}, tell(ask("a", e.ID, now, bridge.Unknown), ask("b", e.ID, now.Add(time.Minute), bridge.Cancelled)))
		if err := b.Tell(t.Context(), ask("c", 0, now.Add(2*time.Minute), bridge.Refused)); err != nil {
			t.Fatal(err)
		}
		for name, tc := range map[string]struct {
			f    bridge.CallFilter
			want string
		}{
			"all, newest first": {bridge.CallFilter{Since: now, Until: now.Add(time.Hour)}, "cba"},
			"until before":      {bridge.CallFilter{Since: now, Until: now.Add(time.Minute)}, "a"},
			"one class":         {bridge.CallFilter{Since: now, Until: now.Add(time.Hour), Classes: []bridge.Class{bridge.Cancelled}}, "b"},
			"two classes":       {bridge.CallFilter{Since: now, Until: now.Add(time.Hour), Classes: []bridge.Class{bridge.Unknown, bridge.Refused}}, "ca"},
			"another's":         {bridge.CallFilter{Since: now, Until: now.Add(time.Hour), Caller: "oracle"}, ""},
			"no more than":      {bridge.CallFilter{Since: now, Until: now.Add(time.Hour), Limit: 2}, "cb"},
		} {
			calls, err := j.Calls(t.Context(), tc.f)
			got := ""
			for _, c := range calls {
				got += c.Ref
				if c.Key != e.Key || c.Taxpayer != "T1" || c.Entry != 0 && (c.State != bridge.Final || c.Now != bridge.Cancelled) || c.Entry == 0 && c.State != "" {
					t.Errorf("%s: %+v", name, c)
				}
			}
			if err != nil || got != tc.want {
				t.Errorf("%s: %q, %v, want %q", name, got, err, tc.want)
			}
		}
	})
}
