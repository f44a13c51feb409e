package nic

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

var update = flag.Bool("update", false, "write what replies mean into fixtures/nic/replies.txtar")

// vectorSession is a session with the SEK of vectors.txtar.
func vectorSession(t testing.TB) *session { return &session{block: vectorBlock(t, "sek.hex")} }

var vectorCancel = bridge.Cancellation{Document: vectorIRN, Reason: bridge.Duplicate, Remarks: "Wrong entry"}

// meaning is what a reply to a cancel of vectorIRN means, in words.
func meaning(a *answer) string {
	if a.verdict == tokenRefused {
		return "stopped at the gate: log in and send again\n"
	}
	return upstreamtest.Words(a.outcome(vectorCancel))
}

// replaceCalls puts f(x) in the place of each "name(x)", so that people can read the encrypted replies.
func replaceCalls(s, name string, f func(plain string) string) string {
	for {
		before, rest, found := strings.Cut(s, name+"(")
		if !found {
			return s
		}
		inner, after, _ := strings.Cut(rest, ")")
		s = before + f(inner) + after
	}
}

func TestGoldenCancels(t *testing.T) {
	s := vectorSession(t)
	encode := base64.StdEncoding.EncodeToString
	upstreamtest.Golden(t, fixtures+"replies.txtar", *update, func(r *upstream.Reply) string {
		body := replaceCalls(string(r.Body), "SEALED", func(plain string) string { return encode(seal(s.block, []byte(plain))) })
		r.Body = []byte(replaceCalls(body, "BASE64", func(plain string) string { return encode([]byte(plain)) }))
		r.Header.Set("Date", "Thu, 05 Dec 2019 08:56:07 GMT")
		return meaning(read(r, s))
	})
}

func TestSamplesOfThePages(t *testing.T) {
	s := vectorSession(t)
	ok := func(body []byte) *upstream.Reply { return &upstream.Reply{Status: 200, Written: true, Body: body} }

	// NIC's own reason has a blank behind it; ours has none, and the rest is equal.
	var sample cancelRequest
	if err := json.Unmarshal(fixture(t, "cancel-request.json"), &sample); err != nil {
		t.Fatal(err)
	}
	sample.CnlRsn = strings.TrimSpace(sample.CnlRsn)
	if got := upstream.JSON(sample); string(got) != vectors(t)["cancel/plain"] {
		t.Errorf("cancel request %s", got)
	}
	success := fmt.Sprintf(`{"status":"1","data":%q,"ErrorDetails":null,"InfoDtls":"<alert message >"}`, base64.StdEncoding.EncodeToString(seal(s.block, fixture(t, "cancel-success.json"))))
	if o := read(ok([]byte(success)), s).outcome(vectorCancel); o.Class != bridge.Cancelled || o.Date != "2019-12-05 14:26:00" {
		t.Errorf("the page's success is %+v", o)
	}
	if a := read(ok(fixture(t, "cancel-success-body.json")), s); a.verdict != sealed {
		t.Errorf("the page's success with a placeholder for Data is verdict %d", a.verdict)
	}
	if o := read(ok(fixture(t, "cancel-failure-body.txt")), s).outcome(vectorCancel); o.Class != bridge.Unknown {
		t.Errorf("the page's failure, which is no JSON, is %+v", o)
	}
	if _, o := readAuth(ok(fixture(t, "auth-failure.json"))); o.Class != bridge.Misconfigured || o.Message != "1020: Decryption failed" {
		t.Errorf("the refused login is %+v", o)
	}
	data, o := readAuth(ok(fixture(t, "auth-success.json")))
	if o.Class != bridge.None || data.AuthToken != "5GGo3hKqPSvbHwRImTjIxeMKQ" || data.Sek != vectors(t)["sek.wrapped"] {
		t.Errorf("the login is %+v, %+v", data, o)
	}
}

// Whatever comes, the decoder doesn't panic, says success only for Status 1, and finds the same in what it found.
func FuzzRead(f *testing.F) {
	archive := txtar.Parse(fixture(f, "replies.txtar"))
	for _, file := range archive.Files {
		if _, body, ok := strings.Cut(string(file.Data), "\n\n"); ok {
			f.Add(200, []byte(body))
		}
	}
	for _, name := range []string{"auth-success.json", "auth-failure.json", "cancel-success-body.json", "cancel-failure-body.txt"} {
		f.Add(200, fixture(f, name))
	}
	f.Add(200, []byte(`{"Status":1,"Data":"`+vectors(f)["reply/sealed"]+`"}`))
	f.Add(401, []byte(`{"ErrorDetails":"[[[[[1005]]]]]"}`))
	s := vectorSession(f)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := &upstream.Reply{Status: status, Written: true, Body: body}
		a := read(r, s)
		o := a.outcome(vectorCancel)
		if o.Class == bridge.None || o.Class > bridge.Unclear {
			t.Fatalf("class %v", o.Class)
		}
		if o.Class == bridge.Cancelled && (a.verdict != answered || !bytes.Contains(bytes.ToLower(a.plain), []byte(vectorIRN))) {
			t.Fatalf("cancelled by %q", body)
		}
		if o.Class == bridge.Refused && len(a.errors) == 0 {
			t.Fatalf("refused without a reason by %q", body)
		}
		a.state(vectorCancel)
		a.plainBody()
		if data, o := readAuth(r); o.Class == bridge.None && data != (authReply{}) && !json.Valid(body) {
			t.Fatalf("a login read from %q", body)
		}
	})
}
