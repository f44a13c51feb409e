package bridge

import (
	"testing"
	"time"
)

var (
	t0  = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	ist = time.FixedZone("IST", 19800)
)

func sent(id int64, at time.Duration, c Class) Attempt {
	a := Attempt{ID: id, Kind: SendCancel, Start: t0.Add(at), Outcome: Outcome{Class: c}}
	if c != None {
		a.End = a.Start.Add(time.Second)
	}
	return a
}

func looked(id int64, at time.Duration, c Class) Attempt {
	return Attempt{ID: id, Kind: AskState, Start: t0.Add(at), End: t0.Add(at), Outcome: Outcome{Class: c}}
}

// What a repeat by the same taxpayer leads to, row by row of the promise.
func TestNext(t *testing.T) {
	refused := Entry{State: Final, Outcome: Outcome{Class: Refused}, Reason: "1", Remarks: "x", Updated: t0}
	same := Cancellation{Reason: "1", Remarks: "x"}
	tests := []struct {
		name  string
		e     Entry
		c     Cancellation
		after time.Duration
		want  step
	}{
		{"cancelled is answered", Entry{State: Final, Outcome: Outcome{Class: Cancelled}}, Cancellation{Reason: "3"}, time.Hour, stepAnswer},
		{"a fresh refusal is answered", refused, same, 59 * time.Second, stepAnswer},
		{"an old refusal is sent again", refused, same, 60 * time.Second, stepSend},
		{"a refusal with another reason is sent again", refused, Cancellation{Reason: "2", Remarks: "x"}, time.Second, stepSend},
		{"a refusal with other remarks is sent again", refused, Cancellation{Reason: "1", Remarks: "y"}, time.Second, stepSend},
		{"not applied is sent again", Entry{State: Final, Outcome: Outcome{Class: NotApplied}}, same, 0, stepSend},
		{"misconfigured is tried again", Entry{State: Final, Outcome: Outcome{Class: Misconfigured}}, same, 0, stepSend},
		{"accepted is carried out", Entry{State: Accepted}, same, 0, stepSend},
		{"open is looked up first", Entry{State: Open}, same, 0, stepLookup},
		{"what a dead process was sending is looked up first", Entry{State: Sending}, same, 0, stepLookup},
	}
	for _, test := range tests {
		if got := next(test.e, test.c, t0.Add(test.after), time.Minute); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

// "Already cancelled" was us if any own attempt was sent and neither refused nor stopped at the gate.
func TestMayBeOurs(t *testing.T) {
	tests := []struct {
		name     string
		attempts []Attempt
		except   int64
		want     bool
	}{
		{"no attempt", nil, 0, false},
		{"only the attempt that was told so", []Attempt{sent(1, 0, AlreadyCancelled)}, 1, false},
		{"a doubtful send", []Attempt{sent(1, 0, Unknown), sent(2, 60, AlreadyCancelled)}, 2, true},
		{"the process died in a send", []Attempt{sent(1, 0, None), sent(2, 60, None)}, 2, true},
		{"a refused send", []Attempt{sent(1, 0, Refused), sent(2, 60, None)}, 2, false},
		{"a send stopped at the gate", []Attempt{sent(1, 0, NotApplied), sent(2, 60, None)}, 2, false},
		{"a doubtful send, since told not applied", []Attempt{sent(1, 0, Unknown), looked(2, 40, NotApplied), looked(3, 200, NotApplied), sent(4, 300, None)}, 4, true},
		{"a lookup is no send", []Attempt{looked(1, 0, Unknown)}, 0, false},
		{"credentials refused", []Attempt{sent(1, 0, Misconfigured)}, 0, false},
	}
	for _, test := range tests {
		if got := (Entry{Attempts: test.attempts}).mayBeOurs(test.except); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
}

// After two inconclusive lookups and two minutes the caller's own repeat may send once more.
func TestMayResend(t *testing.T) {
	two := []Attempt{sent(1, 0, Unknown), looked(2, 30*time.Second, Unknown), looked(3, 60*time.Second, Unknown)}
	tests := []struct {
		name     string
		attempts []Attempt
		at       time.Duration
		want     bool
	}{
		{"two lookups, two minutes", two, 2 * time.Minute, true},
		{"two lookups, too early", two, 2*time.Minute - 1, false},
		{"one lookup", two[:2], time.Hour, false},
		{"one more lookup says active", append(two[:2:2], looked(3, 50, NotApplied)), time.Hour, false},
		{"counting starts again with the last send", append(two[:3:3], sent(4, 3*time.Minute, Unknown)), time.Hour, false},
	}
	for _, test := range tests {
		if got := (Entry{Attempts: test.attempts}).mayResend(t0.Add(test.at)); got != test.want {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
}

// "Active" proves nothing until it was seen twice, 30 s and one call timeout apart.
func TestProvenActive(t *testing.T) {
	e := Entry{Attempts: []Attempt{sent(1, 0, Unknown), looked(2, 30*time.Second, NotApplied)}}
	for at, want := range map[time.Duration]bool{89 * time.Second: false, 90 * time.Second: true} {
		if got := e.provenActive(t0.Add(at), 30*time.Second); got != want {
			t.Errorf("at %s: got %v", at, got)
		}
	}
	if (Entry{Attempts: e.Attempts[:1]}).provenActive(t0.Add(time.Hour), 0) {
		t.Error("a first sight proves it")
	}
}

// Lookups after 30 s, 2 min, 10 min, 1 h, then hourly until the authority's window ends.
func TestLookupSchedule(t *testing.T) {
	e := Entry{Attempts: []Attempt{sent(1, 0, Unknown)}}
	var got []time.Duration
	for at := t0; ; {
		at = e.nextLookup(at, 4*time.Hour)
		if at.IsZero() {
			break
		}
		got = append(got, at.Sub(t0))
	}
	want := []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("lookup %d after %s, want %s", i+1, got[i], want[i])
		}
	}
}

// The cancel date: the authority's, else the recorded one, else the first attempt's start in the authority's zone.
func TestDated(t *testing.T) {
	e := Entry{Attempts: []Attempt{sent(1, 42*time.Second, Unknown)}}
	recorded := e
	recorded.Outcome = Outcome{Class: Cancelled, Date: "2026-03-01 15:00:00", DateSource: DateUpstream}
	tests := []struct {
		name   string
		e      Entry
		o      Outcome
		date   string
		source DateSource
	}{
		{"authority", e, Outcome{Date: "2026-02-28 09:00:00"}, "2026-02-28 09:00:00", DateUpstream},
		{"receipt", e, Outcome{Date: "2026-02-28 09:00:00", DateSource: DateReply}, "2026-02-28 09:00:00", DateReply},
		{"recorded", recorded, Outcome{}, "2026-03-01 15:00:00", DateUpstream},
		{"estimated", e, Outcome{}, "2026-03-01 15:30:00", DateEstimated},
	}
	for _, test := range tests {
		got := test.e.dated(test.o, ist, t0)
		if got.Date != test.date || got.DateSource != test.source {
			t.Errorf("%s: got %s (%s)", test.name, got.Date, got.DateSource)
		}
	}
}

// Every class has a name, a way back from it, and an answer; a new class can't be half-added.
func TestEveryClassIsAnswered(t *testing.T) {
	for c := None; c <= Misconfigured; c++ {
		back, err := ParseClass(c.String())
		if err != nil || back != c {
			t.Errorf("%s does not come back: %v", c, err)
		}
		a := answer(Outcome{Class: c, Message: "m", Date: "d"}, "IRN", "ref")
		switch c {
		case Cancelled:
			if a.Code() != 200 || a.IRN != "IRN" || a.CancelDate != "d" || a.Message != "" || a.Fault != "" {
				t.Errorf("%s: %+v", c, a)
			}
		case Refused, AlreadyCancelled:
			if a.Code() != 204 || a.IRN != "" || a.CancelDate != "" || a.Message != "m" || a.Fault != "" {
				t.Errorf("%s: %+v", c, a)
			}
		default: // trouble is never told as the authority's no
			if a.Code() != 503 || a.Fault == "" || a.Message != "" {
				t.Errorf("%s: %+v", c, a)
			}
		}
	}
	if _, err := ParseClass("nonsense"); err == nil || Class(99).String() != "class(99)" {
		t.Error("unknown classes pass")
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"2143: Invoice does not belongs": "2143: Invoice does not belongs",
		" a\r\n\tb\x00c ":                "a b c",
		"a\u2028b\ufffe":                 "a b",
		"éé₹éé":                          "éé₹",
	} {
		n := 1000
		if in == "éé₹éé" {
			n = 3
		}
		if got := OneLine(in, n); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
