package main

import (
	"bytes"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// Half of the traffic is broken envelopes and one upstream is down: the other taxpayers' calls all succeed, and none
// of them waits for anybody else's trouble.
func TestTroubleStaysWhereItIs(t *testing.T) {
	dir := t.TempDir()
	sims, err := demo.New(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	urls, closeAll, err := demo.Listen(sims, func(s demo.Simulator) http.Handler { return s.Handler })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	f, err := config.Parse([]byte("reply_within: 5s\n"+demo.Config(sims, urls, "127.0.0.1:0", dir, demo.Quiet)), dir, os.LookupEnv, app.FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a := serving(t, f)
	if err := sims[1].Log.Arm(sandbox.Fault{Name: "http503_html"}); err != nil { // MyInvois, until further notice
		t.Fatal(err)
	}
	url := a.PublicURL() + server.Paths[0]
	stop := make(chan struct{})
	var noise sync.WaitGroup
	for range 4 {
		noise.Go(func() { makeNoise(t, url, stop) })
	}
	noise.Go(func() { // the taxpayer whose upstream is down keeps calling, too
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				_, _ = post(url, demo.Envelope(sims[1].Taxpayer, demo.DocumentID("myinvois", n))) // a fault, sooner or later
			}
		}
	})
	var good sync.WaitGroup
	for _, s := range append(sims[:1:1], sims[2:]...) {
		good.Go(func() {
			for n := range 20 {
				start := time.Now()
				body, err := post(url, demo.Envelope(s.Taxpayer, demo.DocumentID(s.Name, 3000+n)))
				if err != nil || !bytes.Contains(body, []byte("<code>200</code>")) {
					t.Errorf("%s: %s, %v", s.Name, body, err)
				}
				if took := time.Since(start); took > 3*time.Second { // the dead upstream's calls take their 5 s
					t.Errorf("%s took %s", s.Name, took)
				}
			}
		})
	}
	good.Wait()
	close(stop)
	noise.Wait()
}

// makeNoise posts envelopes that end in faults, as fast as they are answered.
func makeNoise(t *testing.T, url string, stop <-chan struct{}) {
	for _, broken := range []string{"<a><b></a>", "<!DOCTYPE a><a/>", "junk", ""} {
		for range 1000 {
			select {
			case <-stop:
				return
			default:
			}
			if body, err := post(url, broken); err == nil && !bytes.Contains(body, []byte("Fault>")) {
				t.Errorf("%q was answered %s", broken, body)
				return
			}
		}
	}
}
