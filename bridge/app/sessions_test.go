package app

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// When the logins that NIC allows are used up, everybody can see it, and until when: load balancer, metrics, console and
// whoever hears alarms, once.
func TestLoginsHeldBackAreSeen(t *testing.T) {
	sims, path := sandboxed(t, reseal(""))
	nic := sims[:1]
	for n := range 4 {
		once(t, path, nic, func(demo.Simulator) (string, string) { return demo.DocumentID("nic", n), "<code>204</code>" })
	}
	a := serving(t, path)
	seen := func(place string) string {
		resp, err := http.Get(a.ConsoleURL() + place)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	signs := map[string]string{
		"/readyz": `"logins_held":"nic until 20`, "/metrics": `einvoice_logins_held_seconds{upstream="nic"} 8`, "/": "logins held back",
	}
	for place, sign := range signs {
		if strings.Contains(seen(place), sign) {
			t.Errorf("%s says %s before a login was needed", place, sign)
		}
	}
	body, err := post(a.PublicURL()+server.Paths[0], demo.Envelope(nic[0].Taxpayer, demo.DocumentID("nic", 5)))
	if err != nil || !strings.Contains(string(body), "Fault") {
		t.Errorf("without a login: %v\n%s", err, body)
	}
	for place, sign := range signs {
		if text := seen(place); !strings.Contains(text, sign) {
			t.Errorf("%s doesn't say %s:\n%s", place, sign, text)
		}
	}
	heard := &alarms{}
	a.observer = heard
	h := &health{a.plan.Load(), a.journal}
	told := a.alarmLoginsHeld(h.held(), nil)
	told = a.alarmLoginsHeld(h.held(), told)
	if len(heard.all) != 1 || heard.all[0].Kind != bridge.AlarmLoginsHeld || heard.all[0].Upstream != "nic" || len(told) != 1 {
		t.Errorf("alarms %+v, told %v", heard.all, told)
	}
}

// once starts a bridge, has it cancel one document of each upstream, and stops it.
func once(t *testing.T, path string, sims []demo.Simulator, document func(demo.Simulator) (id, says string)) {
	t.Helper()
	a := started(t, path, slog.New(slog.DiscardHandler))
	for _, s := range sims {
		id, says := document(s)
		body, err := post(a.PublicURL()+server.Paths[0], demo.Envelope(s.Taxpayer, id))
		if err != nil || !strings.Contains(string(body), says) {
			t.Errorf("%s: %v\n%s", s.Name, err, body)
		}
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}

// logs counts a simulator's calls to log in and out.
func logs(s demo.Simulator) (in, out int) {
	for _, c := range s.Log.Calls() {
		switch {
		case strings.HasSuffix(c.URL, "/logout"):
			out++
		case c.Operation == sandbox.Auth:
			in++
		}
	}
	return in, out
}

// reseal puts a seal in the place of a configuration's; none when it is empty.
func reseal(seal string) func(string) string {
	return func(text string) string {
		before, rest, _ := strings.Cut(text, "seal: ")
		_, after, _ := strings.Cut(rest, "\n")
		if seal != "" {
			before += "seal: \"" + seal + "\"\n"
		}
		return before + after
	}
}

// With a seal the session of every kind of upstream serves the next process; without one each start logs in anew, and
// InvX's is given back. A changed seal forgets sessions, and nothing else.
func TestSessionsOutliveTheProcess(t *testing.T) {
	same := config.NewSeal()
	for name, tc := range map[string]struct {
		first, second string
		again, out    int
	}{
		"sealed": {same, same, 0, 0}, "unsealed": {"", "", 1, 2}, "another seal": {same, config.NewSeal(), 1, 0}, "no seal any more": {same, "", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			sims, path := sandboxed(t, reseal(tc.first))
			once(t, path, sims, func(s demo.Simulator) (string, string) { return s.Success, "<code>200</code>" })
			before := map[string]int{}
			for _, s := range sims {
				before[s.Name], _ = logs(s)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(reseal(tc.second)(string(text))), 0o600); err != nil {
				t.Fatal(err)
			}
			once(t, path, sims, func(s demo.Simulator) (string, string) { return s.Success, "<code>200</code>" }) // from the record
			once(t, path, sims, func(s demo.Simulator) (string, string) { return s.Refusal, "<code>204</code>" })
			for _, s := range sims {
				want, wantOut := before[s.Name]+tc.again, 0
				if strings.HasPrefix(s.Name, "cleartax") {
					want = 0
				} else if before[s.Name] != 1 {
					t.Errorf("%s: %d logins at the first start", s.Name, before[s.Name])
				}
				if s.Name == "invx" {
					wantOut = tc.out
				}
				if in, out := logs(s); in != want || out != wantOut {
					t.Errorf("%s: %d logins and %d logouts, want %d and %d", s.Name, in, out, want, wantOut)
				}
			}
		})
	}
}
