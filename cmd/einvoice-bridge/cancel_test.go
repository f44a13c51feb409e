package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"einvoice-bridge/fixtures/sandbox/demo"
)

// The cancel command ends with the exit code of its outcome, in both SOAP versions, and shows no token.
func TestCancelCommand(t *testing.T) {
	sims, path, url, ready := served(t)
	spawn(t, "serve", "-c", path).await(ready)
	t.Setenv(tokenVariable, demo.Token)
	good, s := sims[0].Success, sims[0]
	for _, c := range []struct {
		name string
		args []string
		code exitCode
		says string
	}{
		{"cancelled", []string{"--irn", good}, 0, "cancelled  " + good + " on 20"},
		{"cancelled, SOAP 1.2", []string{"--irn", good, "--soap", "1.2"}, 0, "cancelled  " + good + " on 20"},
		{"refused", []string{"--irn", s.Refusal}, exitRefused, "refused  " + s.Says + " (code 204)"},
		{"refused by a check", []string{"--irn", good, "--reason", "7"}, exitRefused, "cancel_reason"},
		{"not his taxpayer", []string{"--irn", good, "--taxpayer", "29XXXXX0000X1Z5"}, exitRefused, "user_gstin 29XXXXX0000X1Z5 is not known here"},
		{"names from the configuration", []string{"--irn", good, "-c", path}, 0, "cancelled"},
		{"the envelopes", []string{"--irn", good, "--wire"}, 0, "<access_token>***</access_token>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := runCommand(t, append([]string{"cancel", "--url", url, "--taxpayer", s.Taxpayer}, c.args...)...)
			if err == nil {
				err = exitCode(0)
			}
			if err != c.code || !strings.Contains(out, c.says) {
				t.Errorf("got %v, want exit %d and %q\n%s", err, c.code, c.says, out)
			}
			if strings.Contains(out, demo.Token) {
				t.Errorf("the token shows:\n%s", out)
			}
		})
	}
}

// --json says the same to scripts; the token may come from a file.
func TestCancelCommandForScripts(t *testing.T) {
	sims, path, url, ready := served(t)
	spawn(t, "serve", "-c", path).await(ready)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(demo.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := runCommand(t, "cancel", "--json", "--url", url, "--taxpayer", sims[0].Taxpayer, "--irn", sims[0].Refusal, "--token-file", file)
	var got toldJSON
	if jsonErr := json.Unmarshal([]byte(out), &got); jsonErr != nil || err != exitRefused {
		t.Fatalf("got %v, %v\n%s", err, jsonErr, out)
	}
	if want := (toldJSON{Outcome: "refused", HTTPStatus: 200, Code: "204", Message: sims[0].Says}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Faults and answers that are none have exit codes of their own, and say what they mean for the invoice.
func TestCancelCommandWhenThingsGoWrong(t *testing.T) {
	const fault = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault><faultcode>e:%s</faultcode>` +
		`<faultstring>it went wrong [ref r1]</faultstring></e:Fault></e:Body></e:Envelope>`
	dead := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }))
	defer dead.Close()
	answers := map[string]string{
		"/server": fmt.Sprintf(fault, "Server"), "/client": fmt.Sprintf(fault, "Client"), "/html": "<html>hello</html>",
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", soapType)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, answers[r.URL.Path])
	}))
	defer srv.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	t.Setenv(tokenVariable, demo.Token)
	for url, want := range map[string]struct {
		code exitCode
		says string
	}{
		srv.URL + "/server": {exitFault, "fault  it went wrong\nretry after 7 s\nref r1\n"},
		srv.URL + "/client": {exitClient, "fault  it went wrong"},
		srv.URL + "/html":   {exitNoAnswer, "can't be read"},
		dead.URL:            {exitNoAnswer, "sending again is safe"},
	} {
		out, err := runCommand(t, "cancel", "--url", url, "--taxpayer", "T", "--irn", "1")
		if err != want.code || !strings.Contains(out, want.says) {
			t.Errorf("%s: got %v, want exit %d and %q\n%s", url, err, want.code, want.says, out)
		}
	}
	if _, err := runCommand(t, "cancel", "--url", closed, "--taxpayer", "T", "--irn", "1"); err == nil || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("nobody listens: %v", err)
	}
	t.Setenv(tokenVariable, "")
	if _, err := runCommand(t, "cancel", "--taxpayer", "T", "--irn", "1"); err == nil || !strings.Contains(err.Error(), "--token-file") {
		t.Errorf("without a token: %v", err)
	}
}
