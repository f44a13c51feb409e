//go:build !race

package app

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/fixtures/sandbox/demo"
)

// What a call may hold while it waits for its authority: the stacks of two goroutines and what these have at hand, and some
// 3 KB of this test's own ends of the connections. A stack is of 8 KB or of 16, so one frame too many takes 8 KB more. The
// race detector's frames are larger.
const (
	waitingStack = 18_500
	waitingHeap  = 15_800
)

func TestWaitingCallHoldsLittle(t *testing.T) {
	const calls = 500
	authority, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer authority.Close()
	sim, path := onlyAt(t, authority, 8*calls)
	a := started(t, path, slog.New(slog.DiscardHandler))
	var w waiters
	w.call(t, a, authority, sim, 0) // what the first call makes stays
	before := settled()
	for n := range calls {
		w.call(t, a, authority, sim, n+1)
	}
	after := settled()
	stack, heap := (after.StackInuse-before.StackInuse)/calls, (after.HeapAlloc-before.HeapAlloc)/calls
	t.Logf("a call that waits holds %d bytes of stack and %d of heap", stack, heap)
	if stack > waitingStack || heap > waitingHeap {
		t.Errorf("more than %d bytes of stack, or than %d of heap", waitingStack, waitingHeap)
	}
	w.answer(t, sim)
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
}

// onlyAt writes a configuration with one upstream, at an authority that asks for no log-in.
func onlyAt(t *testing.T, authority net.Listener, inFlight int) (sim demo.Simulator, path string) {
	dir := t.TempDir()
	sims, err := demo.New(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	sims = slices.DeleteFunc(sims, func(s demo.Simulator) bool { return s.Name != "cleartax-in" })
	text := demo.Config(sims, map[string]string{sims[0].Name: "http://" + authority.Addr().String()}, "127.0.0.1:0", dir,
		demo.Quiet+fmt.Sprintf("limits: {in_flight: %d}\n", inFlight))
	path = filepath.Join(dir, "bridge.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return sims[0], path
}

// waiters are calls that nobody has answered: their callers' connections, and those that the authority was asked on.
// They have no goroutine at either end.
type waiters struct{ callers, asked []net.Conn }

func (w *waiters) call(t *testing.T, a *App, authority net.Listener, sim demo.Simulator, n int) {
	caller, err := net.Dial("tcp", strings.TrimPrefix(a.PublicURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := demo.Envelope(sim.Taxpayer, demo.DocumentID(sim.Name, n))
	fmt.Fprintf(caller, "POST /einvoice HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	asked, err := authority.Accept()
	if err != nil {
		t.Fatal(err)
	}
	w.callers, w.asked = append(w.callers, caller), append(w.asked, asked)
}

// answer has the simulator answer all of them.
func (w *waiters) answer(t *testing.T, sim demo.Simulator) {
	for _, asked := range w.asked {
		r, err := http.ReadRequest(bufio.NewReader(asked))
		if err != nil {
			t.Fatal(err)
		}
		reply := httptest.NewRecorder()
		sim.Handler.ServeHTTP(reply, r)
		if err := reply.Result().Write(asked); err != nil {
			t.Fatal(err)
		}
		asked.Close()
	}
	for _, caller := range w.callers {
		r, err := http.ReadResponse(bufio.NewReader(caller), nil)
		if err != nil {
			t.Fatal(err)
		}
		if told, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(told), "<code>200</code>") {
			t.Fatalf("%v, %s", err, told)
		}
		caller.Close()
	}
}

// settled is what is held once nothing goes on: pools are empty after the second collection.
func settled() (m runtime.MemStats) {
	time.Sleep(500 * time.Millisecond)
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}
