package console

import (
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// Zone is where whoever reads has his clock. Times of ours are told in it, and say so; cancel dates are the authority's own
// text, in its zone.
type Zone struct{ *time.Location }

// Clock is a time with the zone that it is told in.
func (z Zone) Clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(z.Location).Format(time.DateTime) + " " + z.name(t)
}

// name is the zone's abbreviation, or how far it is from UTC where it has none.
func (z Zone) name(t time.Time) string {
	switch name := t.In(z.Location).Format("MST"); {
	case z.String() == "Asia/Kuala_Lumpur": // the zone database has but a number for it
		return "MYT"
	case strings.HasPrefix(name, "+"), strings.HasPrefix(name, "-"):
		return "UTC" + t.In(z.Location).Format("-07:00")
	default:
		return name
	}
}

// field is a time as a browser's date and time field has it.
func (z Zone) field(t time.Time) string { return t.In(z.Location).Format("2006-01-02T15:04") }

// moment reads what a browser's date and time field sends, and what people type where it is a plain text field.
func (z Zone) moment(s string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, z.Location); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// law is what a country has for its documents.
type law struct {
	zone   string        // that its authorities write dates in
	window time.Duration // from the document's own time on, within which it may be cancelled
}

// lawOf goes by the space that a document is in; spaces of environments and accounts come after a slash.
func lawOf(space string) law {
	switch land, _, _ := strings.Cut(space, "/"); land {
	case "irp":
		return law{"IST", 24 * time.Hour}
	case "myinvois", "cleartax-my":
		return law{"MYT", 72 * time.Hour}
	}
	return law{}
}

// Dated is a cancel date with the zone that its authority writes it in.
func Dated(date, space string) string {
	if zone := lawOf(space).zone; date != "" && zone != "" {
		return date + " " + zone
	}
	return date
}

// Deadline is when an unsettled entry's document can't be cancelled any more; zero for others. The bridge does not know when
// the document was made, but it was there when its cancellation was asked for: the deadline is then at the latest.
func Deadline(e bridge.Entry) time.Time {
	window := lawOf(e.Key.Space).window
	if e.State == bridge.Final || e.ID == 0 || window == 0 {
		return time.Time{}
	}
	return e.Created.Add(window)
}

// leftText is how much of it is left at most; empty when nothing runs.
func leftText(e bridge.Entry) string {
	switch at := Deadline(e); {
	case at.IsZero():
		return ""
	case time.Now().After(at):
		return "no time"
	default:
		return "at most " + tookText(time.Until(at).Truncate(time.Minute))
	}
}
