//go:build linux

package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

var strangersFlag = flag.Int("strangers", 1500, "connections of TestStrangersTakeNothing; 12,000 is the full size")

// crowded is the program as a process of its own, in front of simulators that know every document.
type crowded struct {
	*testing.T
	*process
	sims         []demo.Simulator
	dir          string
	url, console string
	client       *http.Client
	issued       atomic.Int64
	busy         atomic.Int64 // good calls that were turned away
}

func newCrowded(t *testing.T, edit func(string) string) *crowded {
	t.Helper()
	dir, ports := t.TempDir(), freePorts(t, 2)
	sims, path, closeAll, err := demo.Serve(dir, ports[0], fmt.Sprintf("console: {listen: %q}\nlog: {level: error}\n", ports[1]), true, edit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	raiseFiles(t)
	c := &crowded{T: t, sims: sims, dir: dir, url: "http://" + ports[0] + "/einvoice", console: "http://" + ports[1], client: &http.Client{
		Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64},
	}}
	c.process = spawn(t, "serve", "-c", path)
	c.await(c.console + "/readyz")
	return c
}

// raiseFiles lets this process and those that it starts open files enough.
func raiseFiles(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// resident is the process's memory in bytes.
func (c *crowded) resident() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		c.Fatal(err)
	}
	return n << 10
}

// good makes good calls with a few callers, each a new cancellation, until stop is closed, and returns how long each took.
func (c *crowded) good(s demo.Simulator, token string, stop <-chan struct{}) []time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(rand.IntN(10)) * time.Millisecond):
				}
				body := strings.Replace(demo.Envelope(s.Taxpayer, demo.DocumentID(s.Name, int(c.issued.Add(1)))), demo.Token, token, 1)
				began := time.Now()
				if answer := c.post(body); strings.Contains(answer, "The bridge is busy") {
					c.busy.Add(1)
				} else if !strings.Contains(answer, "<code>200</code>") {
					c.Errorf("a good call: %s", answer)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return took
}

func (c *crowded) post(body string) string { return posted(c.client, c.url, body) }

// full are the pools that had no place left, as metrics.
func (c *crowded) full() (lines []string) {
	resp, err := http.Get(c.console + "/metrics")
	if err != nil {
		return []string{err.Error()}
	}
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if strings.HasPrefix(s.Text(), "einvoice_pool_full_total") && !strings.HasSuffix(s.Text(), " 0") {
			lines = append(lines, s.Text())
		}
	}
	return lines
}

// during makes good calls while f runs.
func (c *crowded) during(s demo.Simulator, token string, f func()) (took []time.Duration) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); took = c.good(s, token, stop) }()
	f()
	close(stop)
	<-ended
	return took
}

func percentile(of []time.Duration, p int) time.Duration {
	slices.Sort(of)
	return of[min(len(of)-1, len(of)*p/100)].Round(100 * time.Microsecond)
}

// stranger sends most of a request of 63 KB.
func (c *crowded) stranger(n int) net.Conn {
	return c.send(n, "POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\nContent-Length: 64512\r\n\r\n"+strings.Repeat(" ", 63<<10-1))
}

// send opens a connection and sends what it is given, half of the time from one of many addresses.
func (c *crowded) send(n int, request string) net.Conn {
	d := net.Dialer{}
	if n%2 == 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+n/2%20), 1)}
	}
	conn, err := d.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(c.url, "http://"), "/einvoice"))
	if err != nil {
		c.Error(err)
		return nil
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, request) // who is put out may not come to send all of it
	return conn
}

// Strangers who begin requests and never end them take neither the memory nor anybody's time, and get an answer.
func TestStrangersTakeNothing(t *testing.T) {
	c := newCrowded(t, func(text string) string { return text })
	s := c.sims[0]
	quiet := c.during(s, demo.Token, func() { time.Sleep(3 * time.Second) })
	before := c.resident()
	var peak int
	var told, cut atomic.Int64
	var all sync.WaitGroup
	conns := make(chan net.Conn, *strangersFlag)
	attacked := c.during(s, demo.Token, func() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			var opening sync.WaitGroup
			for w := range 8 {
				opening.Go(func() {
					for n := w; n < *strangersFlag; n += 8 {
						conn := c.stranger(n)
						if conn == nil {
							return
						}
						conns <- conn
						all.Go(func() {
							if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
								cut.Add(1)
							} else if text, _ := io.ReadAll(resp.Body); strings.Contains(string(text), "The bridge is busy; nothing was sent for this call. Retry later.") && resp.Header.Get("Retry-After") != "" {
								told.Add(1)
							} else if resp.StatusCode != http.StatusRequestTimeout {
								t.Errorf("a stranger was told %d %s", resp.StatusCode, text)
							}
						})
						time.Sleep(4 * time.Millisecond) // they are to take memory; the processor that they take is this one
					}
				})
			}
			opening.Wait()
			time.Sleep(2 * time.Second)
		}()
		for over := false; !over; {
			select {
			case <-ended:
				over = true
			case <-time.After(20 * time.Millisecond):
				peak = max(peak, c.resident())
			}
		}
	})
	close(conns)
	for conn := range conns {
		conn.Close()
	}
	all.Wait()
	after := c.resident()
	c.during(s, demo.Token, func() {
		for end := time.Now().Add(30 * time.Second); after-before > 32<<20 && time.Now().Before(end); after = c.resident() {
			time.Sleep(100 * time.Millisecond)
		}
	})
	t.Logf("%d strangers: memory %d MB before, %d MB at most, %d MB afterwards; %d were told that the bridge is busy, %d cut off", *strangersFlag, before>>20, peak>>20, after>>20, told.Load(), cut.Load())
	t.Logf("good calls: %d quiet, p50 %v, p99 %v; %d beside strangers, p50 %v, p99 %v; %d turned away", len(quiet), percentile(quiet, 50), percentile(quiet, 99), len(attacked), percentile(attacked, 50), percentile(attacked, 99), c.busy.Load())
	if peak-before > 64<<20 && !raced() { // of whose memory the detector has most
		t.Errorf("strangers took %d MB", (peak-before)>>20)
	}
	if after-before > 32<<20 && !raced() {
		t.Errorf("%d MB were not given back", (after-before)>>20)
	}
	if c.busy.Load() > 0 || told.Load() == 0 {
		t.Errorf("%d good calls were turned away; %d strangers were told so", c.busy.Load(), told.Load())
	}
}

var fatFlag = flag.Duration("fat", 4*time.Second, "how long TestFatEnvelopesFillNoDisk writes after its caller has used up what he may write at once; 60s is the full size")

// A caller without a limit who sends nothing but large envelopes that are refused fills no disk.
func TestFatEnvelopesFillNoDisk(t *testing.T) {
	c := newCrowded(t, func(text string) string { return text })
	fat := strings.Replace(demo.Envelope(c.sims[0].Taxpayer, demo.DocumentID(c.sims[0].Name, 1)), "<irn>", strings.Repeat(" ", 60_000)+"<irn>", 1)
	fat = strings.Replace(fat, "<cancel_reason>1<", "<cancel_reason>9<", 1)
	var refused, busy atomic.Int64
	flood := func(enough func(since time.Duration) bool) (grown int) {
		began, before := time.Now(), c.journalBytes()
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for !enough(time.Since(began)) {
					switch answer := c.post(fat); {
					case strings.Contains(answer, "<code>204</code>"):
						refused.Add(1)
					case strings.Contains(answer, "The bridge is busy; nothing was sent for this call."):
						busy.Add(1)
					default:
						t.Errorf("answered %s", answer)
					}
				}
			})
		}
		all.Wait()
		return c.journalBytes() - before
	}
	first := flood(func(since time.Duration) bool { return busy.Load() > 0 || since > time.Minute })
	later := flood(func(since time.Duration) bool { return since > *fatFlag })
	t.Logf("the journal grew by %d KB at first, then by %d KB within %v; %d calls were refused, %d turned away", first>>10, later>>10, *fatFlag, refused.Load(), busy.Load())
	if first > 64<<20 || later > int(fatFlag.Seconds()*1024*1024) {
		t.Errorf("the journal grew by %d KB, then by %d KB within %v", first>>10, later>>10, *fatFlag)
	}
}

// journalBytes is the size of the journal's files.
func (c *crowded) journalBytes() (n int) {
	files, _ := filepath.Glob(filepath.Join(c.dir, "bridge.db*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			n += int(info.Size())
		}
	}
	return n
}

var hangingFlag = flag.Int("hanging", 250, "calls of TestHangingCallsStopNobody that hang; 2,100 is the full size")

const otherToken = "another caller's token"

// Whatever hangs (one caller's calls to an authority, calls for the provider, log-ins from many addresses): another caller's
// cancellations are carried out meanwhile.
func TestHangingCallsStopNobody(t *testing.T) {
	for what, call := range map[string]func(s demo.Simulator, n int) string{
		"calls of one caller to an authority": func(s demo.Simulator, n int) string {
			return soapRequest(demo.Envelope(s.Taxpayer, demo.DocumentID(s.Name, 1_000_000+n)), "eInvoiceCancel")
		},
		"calls for the provider": func(s demo.Simulator, _ int) string {
			return soapRequest(strings.ReplaceAll(demo.Envelope(s.Taxpayer, "1"), "eInvoiceCancel", "eInvoiceGenerate"), "eInvoiceGenerate")
		},
		"log-ins": func(_ demo.Simulator, n int) string { return soapRequest(fmt.Sprintf(guess, n), "access_new_token") },
	} {
		t.Run(what, func(t *testing.T) { hang(t, call) })
	}
}

// hang makes calls that hang, and meanwhile good ones.
func hang(t *testing.T, call func(s demo.Simulator, n int) string) {
	over := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(provider.Close)
	t.Cleanup(func() { close(over) })
	c := newCrowded(t, func(text string) string {
		if *hangingFlag < 2000 {
			text = "limits: {in_flight: 300}\n" + text
		}
		return text + fmt.Sprintf("  other: {tokens: [%q], taxpayers: all}\nforward: {url: %q}\n", "sha256:"+access.HashToken(otherToken), provider.URL)
	})
	hanging, healthy := c.sims[0], c.sims[len(c.sims)-1]
	if err := hanging.Log.Arm(sandbox.Fault{Name: "hold_before"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hanging.Log.Release)
	var turnedAway atomic.Int64
	took := c.during(healthy, otherToken, func() {
		for n := range *hangingFlag {
			conn := c.send(n, call(hanging, n))
			if conn == nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
					if text, _ := io.ReadAll(resp.Body); strings.Contains(string(text), "The bridge is busy") {
						turnedAway.Add(1)
					}
				}
			}()
			time.Sleep(time.Millisecond) // they are to take places; the processor that they take is this one
		}
		time.Sleep(2 * time.Second)
	})
	t.Logf("%d calls, %d of them turned away; %d good calls meanwhile, p50 %v, p99 %v, %d turned away", *hangingFlag, turnedAway.Load(), len(took), percentile(took, 50), percentile(took, 99), c.busy.Load())
	if c.busy.Load() > 0 || turnedAway.Load() == 0 {
		t.Errorf("%d good calls were turned away, and %d that hang", c.busy.Load(), turnedAway.Load())
	}
}

const guess = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><access_new_token xmlns="urn:server"><username>user%d</username><password>guess</password><client_id>erp</client_id><client_secret>guess</client_secret><grant_type>password</grant_type></access_new_token></e:Body></e:Envelope>`

func soapRequest(body, operation string) string {
	return fmt.Sprintf("POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\nSOAPAction: \"urn:server#%s\"\r\nContent-Length: %d\r\n\r\n%s", operation, len(body), body)
}

var abandonedFlag = flag.Duration("abandoned", 5*time.Second, "how long TestAbandonedCallsAreBounded calls; 25s is the full size, with as many places as there are by default")

// Callers give up after a second, the authority hangs for half a minute: what they leave behind in the process is no more
// than their share of the places, others are served, and in the end all of it is let go of.
func TestAbandonedCallsAreBounded(t *testing.T) {
	full := *abandonedFlag > 20*time.Second
	most, callers := 100, 200
	if full {
		most, callers = 1024, 1500
	}
	c := newCrowded(t, func(text string) string {
		if !full {
			text = "limits: {in_flight: 300}\n" + text
		}
		return text + fmt.Sprintf("  other: {tokens: [%q], taxpayers: all, reply_within: 1s}\n", "sha256:"+access.HashToken(otherToken))
	})
	hanging, healthy := c.sims[0], c.sims[len(c.sims)-1]
	if err := hanging.Log.Arm(sandbox.Fault{Name: "hold_before"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hanging.Log.Release)
	before, peak, flights := c.resident(), 0, 0.0
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: callers, MaxConnsPerHost: callers}}
	var left, busy atomic.Int64
	c.during(healthy, demo.Token, func() {
		began := time.Now()
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for time.Since(began) < *abandonedFlag {
					body := strings.Replace(demo.Envelope(hanging.Taxpayer, demo.DocumentID(hanging.Name, int(c.issued.Add(1)))), demo.Token, otherToken, 1)
					switch answer := posted(client, c.url, body); {
					case strings.Contains(answer, "Outcome unknown"):
						left.Add(1)
					case strings.Contains(answer, "The bridge is busy"):
						busy.Add(1)
						time.Sleep(100 * time.Millisecond)
					default:
						t.Errorf("answered %s", answer)
					}
				}
			})
		}
		for time.Since(began) < *abandonedFlag {
			time.Sleep(50 * time.Millisecond)
			peak, flights = max(peak, c.resident()), max(flights, metricValue(t, c.console+"/metrics", "einvoice_in_flight"))
		}
		all.Wait()
	})
	t.Logf("%d callers gave up, %d were turned away: %.0f documents in flight at most, memory %d MB before, %d MB at most", left.Load(), busy.Load(), flights, before>>20, peak>>20)
	const good = 4 + 1 // see good
	if flights > float64(most+good) || left.Load() < int64(most) {
		t.Errorf("%d callers gave up, and %.0f documents were in flight; one caller's share is %d", left.Load(), flights, most)
	}
	if c.busy.Load() > 0 {
		t.Errorf("%d good calls were turned away\n%s\n%+v", c.busy.Load(), c.process.err.String(), c.full())
	}
	hanging.Log.Disarm("")
	hanging.Log.Release()
	for end := time.Now().Add(time.Minute); metricValue(t, c.console+"/metrics", "einvoice_in_flight") > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("some are in flight for ever")
		}
	}
}

// posted is what a call is answered, or why it isn't.
func posted(client *http.Client, url, body string) string {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", soapType)
	return done(client, req)
}

var roundsFlag = flag.Int("rounds", 3, "rounds of TestGoodCallsAreAsFastBesideAttacks; 7 say more")

// Good calls take as long beside strangers, or beside calls that hang, as without them: told by rounds of quiet and attack
// in turns, since the machine is others' as well.
func TestGoodCallsAreAsFastBesideAttacks(t *testing.T) {
	c := newCrowded(t, func(text string) string {
		if *hangingFlag < 2000 {
			text = "limits: {in_flight: 300}\n" + text
		}
		return text + fmt.Sprintf("  other: {tokens: [%q], taxpayers: all}\n", "sha256:"+access.HashToken(otherToken))
	})
	hanging, healthy := c.sims[0], c.sims[len(c.sims)-1]
	t.Cleanup(hanging.Log.Release)
	attacks := map[string]struct {
		n    int
		open func(n int) net.Conn
		end  func()
	}{
		"strangers": {*strangersFlag, c.stranger, func() {}},
		"calls that hang": {*hangingFlag, func(n int) net.Conn {
			if n == 0 {
				if err := hanging.Log.Arm(sandbox.Fault{Name: "hold_before"}); err != nil {
					t.Error(err)
				}
			}
			return c.send(n, soapRequest(demo.Envelope(hanging.Taxpayer, demo.DocumentID(hanging.Name, 1_000_000+int(c.issued.Add(1)))), "eInvoiceCancel"))
		}, func() {
			hanging.Log.Disarm("")
			hanging.Log.Release()
			for end := time.Now().Add(time.Minute); metricValue(t, c.console+"/metrics", "einvoice_in_flight") > 0 && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
		}},
	}
	for what, attack := range attacks {
		t.Run(what, func(t *testing.T) {
			var quiet, attacked []time.Duration
			for range *roundsFlag {
				quiet = append(quiet, percentile(c.during(healthy, otherToken, func() { time.Sleep(time.Second) }), 99))
				var conns []net.Conn
				for n := range attack.n {
					if conn := attack.open(n); conn != nil {
						conns = append(conns, conn)
					}
				}
				time.Sleep(time.Duration(min(attack.n, 3000)) * time.Millisecond) // to write their beginnings down takes the disk's time, as anybody's does
				attacked = append(attacked, percentile(c.during(healthy, otherToken, func() { time.Sleep(time.Second) }), 99))
				attack.end()
				for _, conn := range conns {
					conn.Close()
				}
				time.Sleep(time.Second) // it has to notice
			}
			before, beside := percentile(slices.Clone(quiet), 50), percentile(slices.Clone(attacked), 50)
			t.Logf("p99 of good calls, quiet and beside %d %s in turns: %v and %v; medians %v and %v, %.2f times", attack.n, what, quiet, attacked, before, beside, float64(beside)/float64(before))
			if beside > 2*before+50*time.Millisecond {
				t.Errorf("good calls take %v beside %s, and %v without", beside, what, before)
			}
		})
	}
	if c.busy.Load() > 0 {
		t.Errorf("%d good calls were turned away", c.busy.Load())
	}
}
