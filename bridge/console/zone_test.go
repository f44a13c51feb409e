package console

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

func in(t *testing.T, place string) Zone {
	t.Helper()
	loc, err := time.LoadLocation(place)
	if err != nil {
		t.Fatal(err)
	}
	return Zone{loc}
}

func TestTimesSayTheirZone(t *testing.T) {
	for place, want := range map[string]string{
		"UTC": "2026-11-22 12:00:00 UTC", "Asia/Kolkata": "2026-11-22 17:30:00 IST", "Asia/Kuala_Lumpur": "2026-11-22 20:00:00 MYT",
		"Asia/Dubai": "2026-11-22 16:00:00 UTC+04:00", "Europe/Berlin": "2026-11-22 13:00:00 CET",
	} {
		if got := in(t, place).Clock(noon); got != want {
			t.Errorf("%s: %s, want %s", place, got, want)
		}
	}
	for space, want := range map[string]string{"irp": " IST", "irp/sandbox": " IST", "myinvois": " MYT", "cleartax-my/4711": " MYT", "other": ""} {
		if got := Dated("2026-11-22 17:30:00", space); got != "2026-11-22 17:30:00"+want {
			t.Errorf("%s: %s", space, got)
		}
	}
}

// The console shows and reads times in the zone that it is set to.
func TestConsoleInItsZone(t *testing.T) {
	m := &memory{stories: []bridge.Story{story(7, document)}, zone: in(t, "Asia/Kolkata")}
	o := open(t, m, "")
	_, html := o.get("/show?of=7")
	o.wants(html, "2026-11-22 17:30:00 IST", "times are IST (UTC&#43;05:30)")
	_, html = o.get("/cancellations?since=2026-11-22T17:00")
	o.wants(html, "or from (IST)")
	if got := m.filters[len(m.filters)-1].Since; !got.Equal(noon.Add(-30 * time.Minute)) {
		t.Errorf("since %s", got)
	}
}

// An unconfirmed cancellation has no more time than its country gives, counted from when it was asked for at the latest.
func TestTimeLeft(t *testing.T) {
	e := doubtful(7, document).Entry
	for space, want := range map[string]string{"irp/sandbox": "at most 23 h", "myinvois": "at most 71 h", "other": ""} {
		e.Key.Space, e.Created = space, time.Now().Add(-30*time.Minute)
		if got := leftText(e); want != "" && !strings.HasPrefix(got, "at most ") || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", space, got, want)
		}
	}
	e.Key.Space, e.Created = "irp", time.Now().Add(-25*time.Hour)
	if got := leftText(e); got != "no time" {
		t.Errorf("after 25 h: %q", got)
	}
	if e.State = bridge.Final; leftText(e) != "" {
		t.Error("time runs for what is settled")
	}
}
