package server_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"testing"
)

// BenchmarkCall is the whole SOAP side, client included, over kept connections; run it with -cpu 1 for a core's worth.
func BenchmarkCall(b *testing.B) {
	r := start(b, func(s *setup) { s.Log = slog.New(slog.DiscardHandler) })
	call := request("/api.einvoice.php", envelope)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for pb.Next() {
			io.WriteString(conn, call)
			if got, err := readResponse(in, "POST"); err != nil || got.status != 200 {
				b.Errorf("%d, %v", got.status, err)
				return
			}
		}
	})
	b.ReportMetric(60, "budget-µs/op")
	b.ReportMetric(80, "budget-allocs/op")
}
