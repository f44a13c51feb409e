package main

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox"
)

// once starts a bridge, has it cancel one document of each upstream, and stops it.
func once(t *testing.T, path string, sims []simulator, document func(simulator) (id, says string)) {
	t.Helper()
	f, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), f, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.start(); err != nil {
		t.Fatal(err)
	}
	for _, s := range sims {
		id, says := document(s)
		body, err := post(a.server.PublicURL()+server.Paths[0], envelope(s.taxpayer, id))
		if err != nil || !strings.Contains(string(body), says) {
			t.Errorf("%s: %v\n%s", s.name, err, body)
		}
	}
	if err := a.stop(); err != nil {
		t.Error(err)
	}
}

// logs counts a simulator's calls to log in and out.
func logs(s simulator) (in, out int) {
	for _, c := range s.log.Calls() {
		switch {
		case strings.HasSuffix(c.URL, "/logout"):
			out++
		case c.Operation == sandbox.Auth:
			in++
		}
	}
	return in, out
}

// With a seal the session of every kind of upstream serves the next process; without one each start logs in anew, and
// InvX's is given back. A changed seal forgets sessions, and nothing else.
func TestSessionsOutliveTheProcess(t *testing.T) {
	seal := func(value string) func(string) string {
		return func(text string) string {
			before, rest, _ := strings.Cut(text, "seal: ")
			_, after, _ := strings.Cut(rest, "\n")
			if value == "" {
				return before + after
			}
			return before + "seal: \"" + value + "\"\n" + after
		}
	}
	same := config.NewSeal()
	for name, tc := range map[string]struct {
		first, second string
		again, out    int
	}{
		"sealed": {same, same, 0, 0}, "unsealed": {"", "", 1, 2}, "another seal": {same, config.NewSeal(), 1, 0}, "no seal any more": {same, "", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			sims, path := sandboxed(t, seal(tc.first))
			once(t, path, sims, func(s simulator) (string, string) { return s.success, "<code>200</code>" })
			before := map[string]int{}
			for _, s := range sims {
				before[s.name], _ = logs(s)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(seal(tc.second)(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			once(t, path, sims, func(s simulator) (string, string) { return s.success, "<code>200</code>" }) // from the record
			once(t, path, sims, func(s simulator) (string, string) { return s.refusal, "<code>204</code>" })
			for _, s := range sims {
				want, wantOut := before[s.name]+tc.again, 0
				if strings.HasPrefix(s.name, "cleartax") {
					want = 0
				} else if before[s.name] != 1 {
					t.Errorf("%s: %d logins at the first start", s.name, before[s.name])
				}
				if s.name == "invx" {
					wantOut = tc.out
				}
				if in, out := logs(s); in != want || out != wantOut {
					t.Errorf("%s: %d logins and %d logouts, want %d and %d", s.name, in, out, want, wantOut)
				}
			}
		})
	}
}
