//go:build unix

package upstream

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// ways are a client over our own connections and one over net/http's, to the same place.
func ways(t testing.TB, set Settings) map[string]*Client {
	t.Helper()
	transport, err := newTransport(set)
	if err != nil {
		t.Fatal(err)
	}
	theirs := newClient(t, set)
	theirs.pool = netHTTP{transport}
	return map[string]*Client{"own": newClient(t, set), "net/http": theirs}
}

// certified are the settings for a test server.
func certified(srv *httptest.Server) Settings {
	set := Settings{BaseURL: srv.URL}
	if c := srv.Certificate(); c != nil {
		set.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return set
}

// BenchmarkWays is a call by our own connections beside net/http's, in turns of 200 so that what else the machine does falls
// on both. The processor time is this process's, the server's included.
func BenchmarkWays(b *testing.B) {
	for name, start := range map[string]func(http.Handler) *httptest.Server{"http": httptest.NewServer, "https": httptest.NewTLSServer} {
		b.Run(name, func(b *testing.B) {
			srv := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				io.WriteString(w, `{"Status":1}`)
			}))
			defer srv.Close()
			clients, spent := ways(b, certified(srv)), map[string]time.Duration{}
			q := Request{Purpose: ForCancel, Fence: free, Method: "POST", Path: "/", Body: make([]byte, 600), Timeout: time.Second,
				Header: http.Header{"client_id": {"x"}, "Content-Type": {"application/json"}, "authtoken": {"0123456789"}}}
			for b.Loop() {
				for way, c := range clients {
					before := processorTime()
					for range 200 {
						if r := c.Do(b.Context(), &q); r.Err != nil {
							b.Fatal(r.Err)
						}
					}
					spent[way] += processorTime() - before
				}
			}
			for way, d := range spent {
				b.ReportMetric(float64(d.Microseconds())/float64(200*b.N), way+"-cpu-µs/call")
			}
		})
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
