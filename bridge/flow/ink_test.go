package flow_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// scribe counts what is written down of what callers were told, and writes nothing.
type scribe struct {
	bridge.Journal
	rows, bytes int
	last        bridge.Ask
}

func (s *scribe) Tell(_ context.Context, asks ...bridge.Ask) error {
	for _, a := range asks {
		s.rows++
		s.bytes += len(a.SOAPIn)
		s.last = a
	}
	return nil
}

// One caller's fat calls that come to nothing fill no disk, however many there are, and nobody else's are kept any worse.
func TestRefusedEnvelopesFillNoDisk(t *testing.T) {
	var written *scribe
	run(t, func(b *bench) {
		fat := []byte("<in>" + strings.Repeat("é", 30_000) + "</in>")
		refused := func(caller string, soap []byte) bridge.Answer {
			return b.ask(func(r *bridge.Request) { r.Reason, r.Caller, r.SOAPIn = "9", caller, soap })
		}
		for n := range 5000 {
			if got := refused("erp", fat); n < 2000 && got.Class != bridge.Refused || n >= 2000 && (got.Fault != bridge.FaultBusy || got.RetryAfter == 0) {
				t.Fatalf("refusal %d: %+v", n+1, got)
			}
			if n == 0 && string(written.last.SOAPIn) != string(fat) {
				t.Error("the first envelope was not kept whole")
			}
		}
		if written.rows != 2000 || written.bytes > 25<<20 {
			t.Errorf("%d rows with %d bytes were written for 5,000 calls", written.rows, written.bytes)
		}
		if got := string(written.last.SOAPIn); !strings.HasPrefix(got, "<in>éé") || !strings.HasSuffix(got, "bytes more; this caller sends too many large envelopes for all of them to be kept)") || len(got) > 4500 {
			t.Errorf("kept %.20q… of %d bytes", got, len(got))
		}
		rows, bytes := written.rows, written.bytes
		time.Sleep(time.Minute)
		for range 5000 {
			refused("erp", fat)
		}
		if rows, bytes = written.rows-rows, written.bytes-bytes; rows != 1200 || bytes > 8<<20 {
			t.Errorf("a minute later %d rows with %d bytes were written", rows, bytes)
		}
		if got := refused("other", fat); got.Class != bridge.Refused || len(written.last.SOAPIn) != len(fat) {
			t.Errorf("another caller was told %+v, and %d bytes of his envelope were kept", got, len(written.last.SOAPIn))
		}
		refused("other", []byte("<thin/>"))
		if string(written.last.SOAPIn) != "<thin/>" {
			t.Errorf("kept %s", written.last.SOAPIn)
		}
	}, func(b *bench) {
		b.wrap = func(j bridge.Journal) bridge.Journal { written = &scribe{Journal: j}; return written }
	})
}
