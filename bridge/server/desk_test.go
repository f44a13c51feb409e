package server_test

import (
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

// Another desk takes over while a call is in flight: that one ends as it began, the next meets other callers, other
// words, another description and another limit.
func TestAnotherDeskOpens(t *testing.T) {
	var options server.Options
	begun, goOn := make(chan bool), make(chan bool)
	r := start(t, func(s *setup) { options = s.Options })
	r.answer = func(q bridge.Request) bridge.Answer {
		begun <- true
		<-goOn
		return bridge.Answer{Class: bridge.Cancelled, IRN: q.IRN, CancelDate: "2021-06-01 20:30:00"}
	}
	inFlight := make(chan response, 1)
	go func() { inFlight <- r.post(envelope) }()
	<-begun

	contract := soap.DefaultContract()
	contract.Values.SuccessStatus, contract.Values.TokenInvalid = "Done", "Who are you?"
	newcomer := &fake{}
	options.Contract, options.Decoder, options.Canceller = contract, soap.NewDecoder(contract), newcomer
	options.Decoder.Limits.BodyBytes = 2000
	options.PublicURL = "https://elsewhere.example"
	var err error
	options.Access, err = access.New(access.Config{Callers: []access.CallerConfig{
		{Name: "new", Within: time.Minute, Tokens: []string{"sha256:" + access.HashToken("other")}, AllTaxpayers: true},
	}}, r.journal)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.srv.Prepare(options)
	if err != nil {
		t.Fatal(err)
	}
	if page := r.raw("GET /einvoice?wsdl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body; !strings.Contains(page, "https://bridge.example/") {
		t.Error("a desk that is only prepared is met")
	}
	r.srv.Open(d)

	if got := r.post(envelope).body; !strings.Contains(got, "Who are you?") {
		t.Errorf("the old token: %s", got)
	}
	if got := r.post(strings.Replace(envelope, token, "other", 1)).body; !strings.Contains(got, "<status>Done</status>") {
		t.Errorf("the new token: %s", got)
	}
	if got := r.post(envelope + strings.Repeat(" ", 2000)); got.status != 413 || !strings.Contains(got.body, "(2000)") {
		t.Errorf("over the new limit: %d %s", got.status, got.body)
	}
	if page := r.raw("GET /einvoice?wsdl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body; !strings.Contains(page, "https://elsewhere.example/") {
		t.Error("the description tells the old address")
	}
	close(goOn)
	if got := (<-inFlight).body; !strings.Contains(got, "<status>Success</status>") {
		t.Errorf("the call in flight: %s", got)
	}
	if len(r.seen()) != 1 || len(newcomer.seen()) != 1 {
		t.Errorf("%d calls came to the old Canceller, %d to the new one; want one each", len(r.seen()), len(newcomer.seen()))
	}
}

// What can't be served is refused before anybody meets it.
func TestPrepareRefuses(t *testing.T) {
	var good server.Options
	r := start(t, func(s *setup) { good = s.Options })
	good.Access, _ = access.New(access.Config{}, r.journal)
	for name, spoil := range map[string]func(*server.Options){
		"nobody to ask":             func(o *server.Options) { o.Canceller = nil },
		"a flavour that is none":    func(o *server.Options) { o.Flavour = "nope" },
		"a proxy that is none":      func(o *server.Options) { o.TrustedProxies = []string{"proxy.example"} },
		"a saved WSDL that is none": func(o *server.Options) { o.SavedWSDL = []byte("<html/>") },
	} {
		o := good
		spoil(&o)
		if _, err := r.srv.Prepare(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if got := r.post(envelope).body; !strings.Contains(got, "<status>Success</status>") {
		t.Errorf("after the refusals: %s", got)
	}
}
