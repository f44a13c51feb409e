package main

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
)

// tap stands before a simulator and keeps the bytes that pass, for the demo to show.
type tap struct {
	handler http.Handler
	mu      sync.Mutex
	seen    []passed
}

type passed struct{ request, reply []byte }

// ServeHTTP passes the call on and keeps both bodies. The simulator's own admin calls are none of the demo's.
func (t *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sandbox/") {
		t.handler.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the request broke off", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	tw := &teeWriter{ResponseWriter: w}
	t.handler.ServeHTTP(tw, r)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, passed{body, tw.body.Bytes()})
	if len(t.seen) > 16 { // nobody takes them once the demo only serves
		t.seen = t.seen[1:]
	}
}

// take returns what passed since the last take.
func (t *tap) take() []passed {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	t.seen = nil
	return seen
}

type teeWriter struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (w *teeWriter) Write(p []byte) (int, error) {
	w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets the simulator reach the connection that it may have to break.
func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
