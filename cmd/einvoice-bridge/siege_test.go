//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/cleartax"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// siege is what befalls the bridge during a soak beside the authority's trouble: one attack after the other, all of them
// in each round, in an order that a seed decides. What is missing: a wall clock that is set. It is the whole machine's, and
// a Go program asks the kernel for it, not a library that could be replaced; the simulations of bridge/flow set theirs.
type siege struct {
	*soak
	random *rand.Rand
	length time.Duration // of one attack
	disk   string        // with the journal; empty: it can't be mounted here
	hangs  *sandbox.Sandbox

	up     sync.RWMutex // locked while there is no process
	deaths []death
	under  atomic.Pointer[string]    // attack that is under way; nil: none
	over   atomic.Pointer[time.Time] // when the last one was
	worst  map[string]float64        // most bytes resident, by attack; the watcher's

	deaf   atomic.Bool // nobody reads the log
	log    *os.File    // standard error of the process
	mu     sync.Mutex
	lines  bytes.Buffer
	health atomic.Int64 // answers of /healthz
	honest atomic.Int64 // log-ins beside guesses
	asked  atomic.Int64 // documents of the authority that hangs
}

// aftermath is how long after an attack what it held may be held still: calls to the authority that hangs have their timeout.
const aftermath = 3 * time.Second

// death is a time without a process: calls then have no answer.
type death struct{ from, to time.Time }

// besiege adds to the rig's configuration whatever is attacked, and starts the process.
func besiege(s *soak, seed uint64, length time.Duration, disk string) *siege {
	g := &siege{soak: s, random: rand.New(rand.NewPCG(seed, 0)), length: length, disk: disk, worst: map[string]float64{}}
	s.siege = g
	sim := cleartax.DemoIndia(cleartax.Options{AutoSeed: true, Options: sandbox.Options{KeepCalls: 1000, KeepDocuments: 1 << 20, NoBodies: true}})
	sim.AddUser(cleartax.User{Token: hangingToken, Taxpayers: []string{hangingTaxpayer}})
	g.hangs = sim.Sandbox
	l, err := sandbox.Listen("127.0.0.1:0", sim)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = l.Close() })
	i := s.instances[0]
	text, err := os.ReadFile(i.config)
	if err != nil {
		s.Fatal(err)
	}
	config := strings.NewReplacer(
		"log: {level: error}\n", fmt.Sprintf("log: {level: warn}\nforward: {url: %q}\n", i.url),
		"upstreams:\n", fmt.Sprintf("upstreams:\n  hangs:\n    environment: sandbox\n    kind: cleartax-in\n    base_url: %s\n    token: %q\n    timeout: 3s\n    lookup_timeout: 2s\n", l.URL, hangingToken),
		"taxpayers:\n  ", "taxpayers:\n  "+hangingTaxpayer+": {upstream: hangs}\n  ",
	).Replace(string(text)) + fmt.Sprintf("  other: {tokens: [%q], taxpayers: all}\n", "sha256:"+access.HashToken(otherToken)) + honestCaller()
	if err := os.WriteFile(i.config, []byte(config), 0o600); err != nil {
		s.Fatal(err)
	}
	raiseFiles(s.T)
	g.openLog()
	g.start()
	return g
}

const hangingTaxpayer, hangingToken = "09AAAPG7885R002", "hanging-token"

// openLog reads what the process says, unless nobody is to.
func (g *siege) openLog() {
	out, in, err := os.Pipe()
	if err != nil {
		g.Fatal(err)
	}
	g.log = in
	g.Cleanup(func() { in.Close() })
	go func() {
		defer out.Close()
		for buf := make([]byte, 32<<10); ; {
			for g.deaf.Load() {
				time.Sleep(10 * time.Millisecond)
			}
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			g.mu.Lock()
			g.lines.Write(buf[:n])
			g.mu.Unlock()
		}
	}()
}

func (g *siege) start() {
	i := g.instances[0]
	p := &process{tb: g.T, cmd: exec.Command(os.Args[0], "serve", "-c", i.config), done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), "EINVOICE_BRIDGE_MAIN=1")
	p.cmd.Stderr = g.log
	if err := p.cmd.Start(); err != nil {
		g.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	g.Cleanup(func() { _ = p.cmd.Process.Kill() })
	i.process = p
	defer func() {
		if g.Failed() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.Log(g.lines.String())
		}
	}()
	p.await(i.ready)
}

// attacks are all of them but kills, by name.
func (g *siege) attacks() map[string]func(over <-chan time.Time) {
	all := map[string]func(<-chan time.Time){
		"strangers": g.strangers, "hanging authority": g.hanging, "guessing": g.guessing, "fat refusals": g.fat,
		"log unread": g.unread, "journal read": g.read, "relay loop": g.loop, "reloads": g.reloads,
	}
	if g.disk != "" {
		all["disk frozen"], all["disk full"] = g.freeze, g.fill
	}
	return all
}

// run attacks until stop is closed. Kills come in the first part only, so that what the last process holds has time to grow.
func (g *siege) run(stop <-chan struct{}, killUntil time.Time) {
	all := g.attacks()
	for round := 1; ; round++ {
		var names []string
		for name := range all {
			names = append(names, name)
		}
		slices.Sort(names)
		g.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		if time.Now().Before(killUntil) {
			names = slices.Insert(names, 1+g.random.IntN(3), "kill")
		}
		g.Logf("round %d: %s", round, strings.Join(names, ", "))
		for _, name := range names {
			select {
			case <-stop:
				return
			case <-time.After(aftermath + time.Second + time.Duration(g.random.Int64N(int64(g.length)))/2):
			}
			g.under.Store(&name)
			if name == "kill" {
				g.kill()
			} else {
				all[name](time.After(g.length))
			}
			now := time.Now()
			g.over.Store(&now)
			g.under.Store(nil)
		}
	}
}

// at is the address of the SOAP side.
func (g *siege) at() string {
	address, _, _ := strings.Cut(strings.TrimPrefix(g.instances[0].url, "http://"), "/")
	return address
}

// dial connects from one of many addresses, and sends.
func (g *siege) dial(n int, request string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+n%200), 1)}}
	conn, err := d.Dial("tcp", g.at())
	if err != nil {
		g.Error(err)
		return nil
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, request) // who is put out may not come to send all of it
	return conn
}

// crowd opens n connections, a few at a time, and closes them in the end.
func (g *siege) crowd(n int, request func(n int) string, over <-chan time.Time, then func()) {
	var conns []net.Conn
	for k := range n {
		if conn := g.dial(k, request(k)); conn != nil {
			conns = append(conns, conn)
		}
		if k%8 == 0 {
			time.Sleep(4 * time.Millisecond) // they are to take memory and places; the processor that they take is this one
		}
	}
	<-over
	then()
	for _, conn := range conns {
		conn.Close()
	}
}

func (g *siege) strangers(over <-chan time.Time) {
	request := "POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\nContent-Length: 64512\r\n\r\n" + strings.Repeat(" ", 63<<10-1)
	g.crowd(1500, func(int) string { return request }, over, func() {})
}

// hanging is more calls than one caller has places for, to an authority that carries them out when they are given up.
func (g *siege) hanging(over <-chan time.Time) {
	if err := g.hangs.Arm(sandbox.Fault{Name: "hold_before", Operation: sandbox.Cancel}); err != nil {
		g.Error(err)
	}
	g.crowd(1200, func(int) string {
		body := strings.Replace(demo.Envelope(hangingTaxpayer, fmt.Sprintf("%064x", 1<<40+g.asked.Add(1))), demo.Token, otherToken, 1)
		return soapRequest(body, "eInvoiceCancel")
	}, over, func() {
		g.hangs.Disarm("")
		g.hangs.Release()
	})
}

// workers call for as long as the attack lasts.
func workers(n int, over <-chan time.Time, call func(n int)) {
	var done atomic.Bool
	var all sync.WaitGroup
	for k := range n {
		all.Go(func() {
			for !done.Load() {
				call(k)
			}
		})
	}
	<-over
	done.Store(true)
	all.Wait()
}

// answered is what a call is told; there must be something.
func (g *siege) answered(body string, headers ...string) string {
	req, err := http.NewRequest(http.MethodPost, g.instances[0].url, strings.NewReader(body))
	if err != nil {
		g.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", soapType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := g.attacker.Do(req)
	if err != nil {
		g.Errorf("no answer beside %s: %v", *g.under.Load(), err)
		return ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.Errorf("no answer beside %s: %v", *g.under.Load(), err)
	}
	return string(text)
}

// guessing tries passwords under a caller's name from many addresses; he logs in meanwhile.
func (g *siege) guessing(over <-chan time.Time) {
	workers(10, over, func(k int) {
		if k > 0 {
			time.Sleep(40 * time.Millisecond)
			if conn := g.dial(rand.IntN(1<<20), soapRequest(honestLogin("guess"), "access_new_token")); conn != nil {
				_, _ = http.ReadResponse(bufio.NewReader(conn), nil)
				conn.Close()
			}
			return
		}
		if text := g.answered(honestLogin(honestPassword)); !strings.Contains(text, "<token_type>bearer<") {
			g.Errorf("an honest log-in beside guesses: %s", text)
		}
		g.honest.Add(1)
		time.Sleep(100 * time.Millisecond)
	})
}

// fat sends large envelopes that are refused.
func (g *siege) fat(over <-chan time.Time) {
	body := strings.NewReplacer(demo.Token, otherToken, "<irn>", strings.Repeat(" ", 60_000)+"<irn>", "<cancel_reason>1<", "<cancel_reason>9<").
		Replace(demo.Envelope(g.taxpayer, fmt.Sprintf("%064x", 1<<41)))
	workers(4, over, func(int) {
		if text := g.answered(body); !strings.Contains(text, "<code>204</code>") && !strings.Contains(text, "The bridge is busy") {
			g.Errorf("a fat envelope: %s", text)
		}
		time.Sleep(5 * time.Millisecond)
	})
}

var fatDocument = strings.Repeat("X", 1000) // for fat lines in the log

// unread blocks standard error while there is much to say.
func (g *siege) unread(over <-chan time.Time) {
	g.deaf.Store(true)
	defer g.deaf.Store(false)
	workers(4, over, func(int) { g.answered(demo.Envelope(g.taxpayer, fatDocument)); time.Sleep(2 * time.Millisecond) })
}

// read leaves a reader of the journal open: an export whose output nobody takes.
func (g *siege) read(over <-chan time.Time) {
	cmd := exec.Command(os.Args[0], "journal", "export", "-c", g.instances[0].config)
	cmd.Env = append(os.Environ(), "EINVOICE_BRIDGE_MAIN=1")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		g.Error(err)
		return
	}
	defer out.Close()
	<-over
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// loop sends what is relayed to the provider, whose address is the bridge's own.
func (g *siege) loop(over <-chan time.Time) {
	body := strings.ReplaceAll(demo.Envelope(g.taxpayer, "1"), "eInvoiceCancel", "eInvoiceGenerate")
	workers(4, over, func(int) {
		if text := g.answered(body, "SOAPAction", `"urn:server#eInvoiceGenerate"`); !strings.Contains(text, "Fault>") {
			g.Errorf("a call that is relayed to nobody but ourselves: %s", text)
		}
		time.Sleep(5 * time.Millisecond)
	})
}

// reloads changes the configuration again and again.
func (g *siege) reloads(over <-chan time.Time) {
	path := g.instances[0].config
	before, err := os.ReadFile(path)
	if err != nil {
		g.Error(err)
		return
	}
	for n := 1; ; n++ {
		ended := false
		select {
		case <-over:
			ended = true
		case <-time.After(g.length / 8):
		}
		text := string(before)
		if n%2 == 1 && !ended {
			text = strings.Replace(text, "  other: {", "  other: {per_minute: 60000, ", 1)
		}
		err := os.WriteFile(path+".new", []byte(text), 0o600)
		if err == nil {
			err = os.Rename(path+".new", path) // it may be read just now
		}
		if err != nil {
			g.Error(err)
		}
		_ = g.instances[0].process.cmd.Process.Signal(syscall.SIGHUP)
		if ended {
			break
		}
	}
	time.Sleep(time.Second)
	if got := g.number(g.metrics(), "einvoice_config_last_reload_successful"); got != 1 {
		g.Error("the last reload was not successful")
	}
}

// kill ends the process as a power cut would, and starts it again.
func (g *siege) kill() {
	g.up.Lock()
	defer g.up.Unlock()
	d := death{from: time.Now()}
	g.instances[0].process.kill()
	g.start()
	d.to = time.Now()
	g.deaths = append(g.deaths, d)
}

// freeze stops the journal's disk, as snapshots of virtual machines do.
func (g *siege) freeze(over <-chan time.Time) {
	if out, err := exec.Command("fsfreeze", "-f", g.disk).CombinedOutput(); err != nil {
		g.Errorf("fsfreeze: %v %s", err, out)
		return
	}
	<-over
	if out, err := exec.Command("fsfreeze", "-u", g.disk).CombinedOutput(); err != nil {
		g.Errorf("fsfreeze: %v %s", err, out)
	}
}

// fill leaves no room on the journal's disk.
func (g *siege) fill(over <-chan time.Time) {
	path := filepath.Join(g.disk, "full")
	f, err := os.Create(path)
	if err != nil {
		g.Error(err)
		return
	}
	defer func() {
		f.Close()
		if err := os.Remove(path); err != nil {
			g.Error(err)
		}
	}()
	for size, at := int64(1<<30), int64(0); size >= 4096; {
		if err := syscall.Fallocate(int(f.Fd()), 0, at, size); err != nil {
			size /= 2
			continue
		}
		at += size
	}
	<-over
}

// watchHealth wants /healthz answered for as long as there is a process.
func (g *siege) watchHealth(stop <-chan struct{}) {
	url := strings.Replace(g.instances[0].ready, "readyz", "healthz", 1)
	for {
		select {
		case <-stop:
			return
		case <-time.After(200 * time.Millisecond):
		}
		g.up.RLock()
		status, _, err := answer(url)
		g.up.RUnlock()
		if g.health.Add(1); status != http.StatusOK {
			under := "nothing"
			if name := g.under.Load(); name != nil {
				under = *name
			}
			g.Errorf("/healthz beside %s: %d, %v", under, status, err)
		}
	}
}

// quiet tells whether no attack is under way, nor was just before; otherwise it notes what the process holds.
func (g *siege) quiet() bool {
	if name := g.under.Load(); name != nil {
		g.worst[*name] = max(g.worst[*name], g.resident())
		return false
	}
	over := g.over.Load()
	return over == nil || time.Since(*over) > aftermath
}

// dead tells whether there was no process when a call ended.
func (g *siege) dead(at time.Time) bool {
	return slices.ContainsFunc(g.deaths, func(d death) bool {
		return at.After(d.from) && at.Before(d.to.Add(time.Second))
	})
}

// verify holds what was attacked to what the whole rig is held to, and the log to what may be in it.
func (g *siege) verify() {
	g.Helper()
	g.Logf("%d answers of /healthz; %d honest log-ins beside guesses; %d kills", g.health.Load(), g.honest.Load(), len(g.deaths))
	for name, most := range g.worst {
		g.Logf("most memory beside %s: %.0f MB", name, most/(1<<20))
	}
	noOverlap(g.T, g.hangs)
	for _, doc := range g.hangs.Documents() {
		if doc.Commits() > 1 {
			g.Errorf("%s is cancelled %d times", doc.ID, doc.Commits())
		}
	}
	counts, first := map[string]int{}, map[string]string{}
	g.mu.Lock()
	defer g.mu.Unlock()
	for line := range strings.Lines(g.lines.String()) {
		kind := "others"
		for _, field := range strings.Fields(line) {
			if strings.HasPrefix(field, "level=") || strings.HasPrefix(field, "alarm=") {
				kind = field
			}
		}
		if strings.Contains(line, "document="+strings.ToLower(fatDocument)) || strings.Contains(line, "document="+fatDocument) { // unread's
			kind = "fat documents"
		}
		if counts[kind]++; counts[kind] == 1 {
			first[kind] = line
		}
		if strings.Contains(line, "panic") || strings.Contains(line, "fatal error") || kind == "level=ERROR" {
			g.Errorf("in the log: %s", line)
		}
	}
	g.Logf("lines of the log: %v", counts)
	for kind := range counts {
		if strings.HasPrefix(kind, "alarm=") && kind != "alarm=journal" {
			g.Errorf("an alarm that nothing stands behind: %s", first[kind])
		}
	}
}
