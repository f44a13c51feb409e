//go:build linux

package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/fixtures/sandbox/demo"
)

var guessFlag = flag.Duration("guess", 5*time.Second, "how long TestGuessesRefuseNobody guesses; 300s is the full size")

const (
	honestUser, honestPassword = "honest", "honest password"
	honestClient, honestSecret = "honest client", "honest secret"
)

// honestCaller is a caller with a log-in, for the end of a configuration.
func honestCaller() string {
	return fmt.Sprintf("  honest: {taxpayers: all, login: {username: %q, password: %q, client_id: %q, client_secret: %q}}\n",
		honestUser, access.HashPassword(honestPassword), honestClient, access.HashPassword(honestSecret))
}

// honestLogin is access_new_token under his name.
func honestLogin(password string) string {
	return fmt.Sprintf(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><access_new_token xmlns="urn:server"><username>%s</username><password>%s</password><client_id>%s</client_id><client_secret>%s</client_secret><grant_type>password</grant_type></access_new_token></e:Body></e:Envelope>`,
		honestUser, password, honestClient, honestSecret)
}

// A thousand guesses a second under a caller's name, from fifty addresses: his log-ins, his cancellations with a token and
// those with his password all go through, also from an address that is new.
func TestGuessesRefuseNobody(t *testing.T) {
	c := newCrowded(t, func(text string) string { return text + honestCaller() })
	s := c.sims[0]
	if text := c.post(honestLogin(honestPassword)); !strings.Contains(text, "<token_type>bearer<") {
		t.Fatalf("before anybody guesses: %s", text)
	}
	var over atomic.Bool
	var guesses, slowed, wrong, turned, cut atomic.Int64
	var all sync.WaitGroup
	const addresses, aSecond, atOnce = 50, 1000, 3000
	var clients []*http.Client
	for k := range addresses {
		clients = append(clients, from(byte(2+k)))
	}
	try := func(n int64) {
		switch text := posted(clients[n%addresses], c.url, honestLogin(fmt.Sprintf("guess %d", n))); {
		case strings.Contains(text, "Too many failed attempts"):
			slowed.Add(1)
		case strings.Contains(text, "Invalid username and password"):
			wrong.Add(1)
		case strings.Contains(text, "The bridge is busy"):
			turned.Add(1)
		case !strings.Contains(text, "Envelope"):
			cut.Add(1) // a stranger's connection may be put out
		default:
			t.Errorf("a guess: %s", text)
		}
	}
	all.Go(func() { // whether the ones before are answered or not
		under := make(chan struct{}, atOnce)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		began := time.Now()
		for now := began; !over.Load(); now = <-tick.C {
			for due := int64(now.Sub(began).Seconds() * aSecond); guesses.Load() < due && !over.Load(); {
				n := guesses.Add(1)
				under <- struct{}{}
				all.Go(func() { try(n); <-under })
			}
		}
	})
	basic := strings.NewReplacer("<access_token>"+demo.Token+"</access_token>", "")
	good := map[string]func(client *http.Client) (string, string){
		"log-ins": func(client *http.Client) (string, string) {
			return posted(client, c.url, honestLogin(honestPassword)), "<token_type>bearer<"
		},
		"cancellations with a token": func(client *http.Client) (string, string) {
			return posted(client, c.url, demo.Envelope(s.Taxpayer, demo.DocumentID(s.Name, int(c.issued.Add(1))))), "<code>200</code>"
		},
		"cancellations with user name and password": func(client *http.Client) (string, string) {
			req, err := http.NewRequest(http.MethodPost, c.url, strings.NewReader(basic.Replace(demo.Envelope(s.Taxpayer, demo.DocumentID(s.Name, int(c.issued.Add(1)))))))
			if err != nil {
				return err.Error(), ""
			}
			req.Header.Set("Content-Type", soapType)
			req.SetBasicAuth(honestUser, honestPassword)
			return done(client, req), "<code>200</code>"
		},
	}
	var mu sync.Mutex
	took := map[string][]time.Duration{}
	refused := map[string]int{}
	for what, call := range good {
		for _, client := range []*http.Client{c.client, from(250)} { // the second has not been seen before
			all.Go(func() {
				for !over.Load() {
					began := time.Now()
					text, want := call(client)
					mu.Lock()
					took[what] = append(took[what], time.Since(began))
					if !strings.Contains(text, want) {
						if refused[what]++; refused[what] < 4 {
							t.Errorf("%s: %s", what, text)
						}
					}
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
	}
	began := time.Now()
	time.Sleep(*guessFlag)
	over.Store(true)
	all.Wait()
	t.Logf("%d guesses in %v (%.0f a second): %d looked at, %d slowed down, %d turned away, %d cut off", guesses.Load(), *guessFlag,
		float64(guesses.Load())/time.Since(began).Seconds(), wrong.Load(), slowed.Load(), turned.Load(), cut.Load())
	for what, all := range took {
		t.Logf("%s: %d, %d of them refused; p50 %v, p99 %v", what, len(all), refused[what], percentile(all, 50), percentile(all, 99))
		if refused[what] > 0 {
			t.Errorf("%s: %d of %d were refused; full were %v\n%s", what, refused[what], len(all), c.full(), c.process.err.String())
		}
	}
}

// from is a client at one of this machine's addresses.
func from(last byte) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, last)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 64}}
}

// done is what a request is answered, or why it isn't.
func done(client *http.Client, req *http.Request) string {
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
