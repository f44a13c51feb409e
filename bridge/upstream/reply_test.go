package upstream

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
)

func TestVerdict(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name  string
		reply *Reply
		want  bridge.Class
	}{
		{"nothing written", &Reply{Err: broken}, bridge.NotApplied},
		{"written, no reply", &Reply{Err: broken, Written: true}, bridge.Unknown},
		{"200 cut off", &Reply{Err: broken, Written: true, Status: 200}, bridge.Unknown},
		{"408", &Reply{Status: 408, Written: true}, bridge.Unknown},
		{"425", &Reply{Status: 425, Written: true}, bridge.NotApplied},
		{"429", &Reply{Status: 429, Written: true}, bridge.NotApplied},
		{"429 cut off", &Reply{Status: 429, Written: true, Err: broken}, bridge.NotApplied},
		{"500", &Reply{Status: 500, Written: true}, bridge.Unknown},
		{"503", &Reply{Status: 503, Written: true}, bridge.Unknown},
		{"599", &Reply{Status: 599, Written: true}, bridge.Unknown},
		{"200", &Reply{Status: 200, Written: true}, bridge.None},
		{"204", &Reply{Status: 204, Written: true}, bridge.None},
		{"302", &Reply{Status: 302, Written: true}, bridge.None},
		{"400", &Reply{Status: 400, Written: true}, bridge.None},
		{"401", &Reply{Status: 401, Written: true}, bridge.None},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.reply.Verdict()
			if o.Class != tt.want || o.HTTPStatus != tt.reply.Status || o.Sent != tt.reply.Written {
				t.Errorf("Verdict = %+v, want class %v", o, tt.want)
			}
			if (o.Class == bridge.None) != (o.Message == "") {
				t.Errorf("message %q for class %v", o.Message, o.Class)
			}
			before := BeforeCancel(o)
			if before.Sent || before.Class == bridge.Unknown {
				t.Errorf("BeforeCancel = %+v: doubt about a login is no doubt about the cancel", before)
			}
		})
	}
}

func TestBeforeCancelLeavesNoDoubt(t *testing.T) {
	for _, class := range []bridge.Class{bridge.Unknown, bridge.Unclear} {
		if o := BeforeCancel(bridge.Outcome{Class: class, Sent: true, Claimed: true}); o.Class != bridge.NotApplied || o.Sent || o.Claimed {
			t.Errorf("%s before the cancel is %+v", class, o)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		header string
		want   time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"7", 7 * time.Second},
		{" 7 ", 7 * time.Second},
		{"-7", 0},
		{"7.5", 0},
		{"soon", 0},
		{"99999999999999999999", 0},
		{"86400", time.Hour},
		{"Sun, 01 Nov 2026 10:00:30 GMT", 30 * time.Second},
		{"Sun, 01 Nov 2026 09:00:00 GMT", 0},
		{"Mon, 01 Nov 2027 09:00:00 GMT", time.Hour},
	}
	for _, tt := range tests {
		h := http.Header{}
		h.Set("Retry-After", tt.header)
		if got := RetryAfter(h, now); got != tt.want {
			t.Errorf("RetryAfter(%q) = %v, want %v", tt.header, got, tt.want)
		}
	}
	if got := RetryAfter(nil, now); got != 0 {
		t.Errorf("RetryAfter without headers = %v", got)
	}
}

func TestRetryAfterDateIsReadByTheAuthoritysClock(t *testing.T) {
	h := http.Header{"Date": {"Sun, 01 Nov 2026 10:00:00 GMT"}, "Retry-After": {"Sun, 01 Nov 2026 10:00:20 GMT"}}
	if o := (&Reply{Status: 429, Written: true, Header: h}).Verdict(); o.RetryAfter != 20*time.Second {
		t.Errorf("RetryAfter = %v, want 20s", o.RetryAfter)
	}
}

func TestExchange(t *testing.T) {
	m := NewMask("access_token").With("topsecret")
	start := time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
	r := &Reply{
		Status: 200, Start: start, Took: time.Second, purpose: "lookup", method: "GET",
		url: "https://x.example/get?access_token=abc&irn=1", Err: errors.New("broken near topsecret"),
	}
	want := bridge.Exchange{
		Purpose: "lookup", Method: "GET", URL: "https://x.example/get?access_token=***&irn=1", Status: 200,
		Response: `{"a":"***"}`, Err: "broken near ***", Start: start, Took: time.Second,
	}
	if diff := cmp.Diff(want, r.Exchange(m, nil, []byte(`{"a":"topsecret"}`))); diff != "" {
		t.Error(diff)
	}
}
