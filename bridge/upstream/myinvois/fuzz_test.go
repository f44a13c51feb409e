package myinvois

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

func seeds(f *testing.F) {
	files, err := filepath.Glob("../../../fixtures/myinvois/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, status := range []int{200, 400, 403, 404} {
			f.Add(status, body)
		}
	}
	f.Add(403, []byte("<html>"))
	f.Add(400, []byte(`{"error":[null,{"details":{"code":7}}]}`))
	f.Add(400, []byte(`{"error":`+strings.Repeat(`{"code":"a","details":[`, 40)+strings.Repeat(`]}`, 40)+`}`))
}

// FuzzCancelReply: whatever comes, no panic, a known class, and success only for the document that was asked for.
func FuzzCancelReply(f *testing.F) {
	const uuid = "MZQRKQKTXF6F4HJ7HW307B3J10"
	seeds(f)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + ((status-200)%400+400)%400 // 200 to 599, as net/http gives them
		r := &upstream.Reply{Status: status, Header: http.Header{}, Body: body, Written: true}
		o := classify(r, readObject(r), uuid)
		if o.Class == bridge.None || o.Class > bridge.Unclear || o.Class == bridge.AlreadyCancelled {
			t.Fatalf("class %s", o.Class)
		}
		if o.Class == bridge.Cancelled && (status >= 300 || !strings.Contains(strings.ToLower(string(body)), "cancelled")) {
			t.Fatalf("HTTP %d became cancelled: %s", status, body)
		}
		if o.Class != bridge.Cancelled && o.Message == "" || (o.Class == bridge.Refused || o.Class == bridge.Unclear) && status >= 500 {
			t.Fatalf("HTTP %d is %s, %q: %s", status, o.Class, o.Message, body)
		}
		if o.Class == bridge.Unclear && !o.Unclassified || o.ByState && o.Class != bridge.Refused {
			t.Fatalf("%s, unclassified %v, by state %v: %s", o.Class, o.Unclassified, o.ByState, body)
		}
		if o.Class == bridge.Misconfigured && o.Alarm == "" {
			t.Fatalf("nobody is called: %s", body)
		}
		if !utf8.ValidString(o.Message) {
			t.Fatalf("message %q", o.Message)
		}
	})
}

// FuzzDetailsReply: whatever comes, no panic, and a state only for the document that was asked for.
func FuzzDetailsReply(f *testing.F) {
	const uuid = "MZQRKQKTXF6F4HJ7HW307B3J10"
	seeds(f)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		state, failure := readDetails(&upstream.Reply{Status: status, Header: http.Header{}, Body: body, Written: true}, uuid, len(body)%2 == 0)
		if state.Status != bridge.StatusUnknown && (status != 200 || failure.Class != bridge.None) {
			t.Fatalf("HTTP %d tells %v: %s", status, state.Status, body)
		}
		if failure.Class != bridge.None && failure.Class != bridge.NotApplied && failure.Class != bridge.Misconfigured {
			t.Fatalf("failure %s", failure.Class)
		}
		if state.Date != "" && len(state.Date) != 19 {
			t.Fatalf("date %q", state.Date)
		}
	})
}

// FuzzLoginReply: whatever comes, no panic, and either a token or a failure that says what to do.
func FuzzLoginReply(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r, ok := readLogin(&upstream.Reply{Status: status, Header: http.Header{}, Body: body, Written: true})
		switch {
		case ok && (r.token == "" || r.lives <= 0 || r.lives > 24*lifetime):
			t.Fatalf("a token of %d bytes for %s", len(r.token), r.lives)
		case ok:
			taxpayerOf(r.token)
		case r.failure.Class != bridge.NotApplied && r.failure.Class != bridge.Misconfigured, r.failure.Message == "":
			t.Fatalf("failure %+v", r.failure)
		}
	})
}
