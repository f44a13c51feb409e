package app

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// sandboxed serves the simulators and writes a configuration that reaches them, changed by edit.
func sandboxed(t testing.TB, edit func(string) string) (sims []demo.Simulator, path string) {
	t.Helper()
	sims, path, closeAll, err := demo.Serve(t.TempDir(), "127.0.0.1:0", demo.Quiet, false, edit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeAll)
	return sims, path
}

// wired is a bridge that has not started, of the configuration at path.
func wired(t testing.TB, path string, log *slog.Logger) *App {
	t.Helper()
	f, err := config.Load(path, FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), f, Process{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// started is a bridge at work.
func started(t testing.TB, path string, log *slog.Logger) *App {
	t.Helper()
	a := wired(t, path, log)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	return a
}

// serving is a bridge at work until the test ends.
func serving(t testing.TB, path string) *App {
	t.Helper()
	a := started(t, path, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func post(url, body string) ([]byte, error) {
	resp, err := http.Post(url, "text/xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// lockedBuffer takes log lines of goroutines that nobody waits for.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
