package upstreamtest

import (
	"bytes"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Golden holds what an adapter reads out of replies against a txtar file of pairs: "name" is a reply as ReadReply takes
// it, "name: means" what meaning must make of it. With update the second of each pair is written instead.
func Golden(t *testing.T, path string, update bool, meaning func(*upstream.Reply) string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archive := txtar.Parse(file)
	fresh := &txtar.Archive{Comment: archive.Comment}
	want := map[string]string{}
	for _, f := range archive.Files {
		want[f.Name] = string(f.Data)
	}
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ": means") {
			continue
		}
		got := meaning(ReadReply(t, string(f.Data)))
		fresh.Files = append(fresh.Files, f, txtar.File{Name: f.Name + ": means", Data: []byte(got)})
		if d := cmp.Diff(want[f.Name+": means"], got); d != "" && !update {
			t.Errorf("%s: what it means has changed (-want +got)\n%s", f.Name, d)
		}
	}
	if update {
		if err := os.WriteFile(path, txtar.Format(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if len(fresh.Files) != len(archive.Files) {
		t.Errorf("%s has %d parts, not pairs: run with -update and read what changed", path, len(archive.Files))
	}
}

// ReadReply is the complete reply that a text shows: "HTTP 200", header lines, an empty line, the body.
func ReadReply(t testing.TB, text string) *upstream.Reply {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	status, err := strconv.Atoi(strings.TrimPrefix(lines[0], "HTTP "))
	if err != nil {
		t.Fatalf("a reply begins with %q, not with its status", lines[0])
	}
	r := &upstream.Reply{Status: status, Header: http.Header{}, Body: bytes.TrimRight([]byte(body), "\n"), Written: true}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// Words tells an outcome in lines, those that say something.
func Words(o bridge.Outcome) string {
	lines := []string{o.Class.String()}
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, name+": "+value)
		}
	}
	add("code", o.Code)
	add("message", o.Message)
	add("date", o.Date)
	add("date source", string(o.DateSource))
	add("alarm", o.Alarm)
	if o.RetryAfter > 0 {
		add("retry after", o.RetryAfter.String())
	}
	for _, mark := range []struct {
		name string
		set  bool
	}{{"unclassified", o.Unclassified}, {"by state", o.ByState}, {"claimed", o.Claimed}} {
		if mark.set {
			lines = append(lines, mark.name)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
