package cleartax_test

import (
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/cleartax"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// indianReply are the schemas of each route's replies.
var indianReply = map[string]struct{ cancel, get string }{
	cleartax.Govt: {"in-govt-cancel-reply.json", "in-govt-get-reply.json"},
	cleartax.V2:   {"in-v2-reply.json", "in-v2-reply.json"},
}

// keepSchemas holds what really came from the simulator against what we say we rely on.
func keepSchemas(t *testing.T, cancel, lookup string, exchanges []bridge.Exchange) {
	t.Helper()
	for _, e := range exchanges {
		name := cancel
		if e.Purpose == "lookup" {
			name = lookup
		}
		if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "cleartax", name), e.Response); err != nil {
			t.Errorf("%s %s: %v", e.Purpose, e.Response, err)
		}
	}
}

func TestFixturesKeepTheSchemas(t *testing.T) {
	for name, fixtures := range map[string][]string{
		"my-cancel-request.json": {"my-cancel-request.json", "my-cancel-request-documented.json"},
		"my-cancel-reply.json": {"my-cancel-success-documented.json", "my-cancel-success-bool.json", "my-cancel-already-documented.json",
			"my-cancel-refused-lhdn.json", "my-cancel-two-errors.json"},
		"my-lookup-reply.json": {"my-lookup-valid.json", "my-lookup-cancelled.json", "my-lookup-invalid.json", "my-lookup-none.json",
			"my-status-valid.json", "my-status-cancelled.json"},
		"in-govt-cancel-request.json": {"in-govt-cancel-request.json", "in-govt-cancel-request-documented.json"},
		"in-govt-cancel-reply.json":   {"in-govt-cancel-success-documented.json", "in-govt-cancel-refused.json", "in-govt-cancel-already.json"},
		"in-govt-get-reply.json":      {"in-govt-get-active.json", "in-govt-get-cancelled.json"},
		"in-v2-cancel-request.json":   {"in-v2-cancel-request.json"},
		"in-v2-reply.json": {"in-v2-cancel-success.json", "in-v2-cancel-success-dated.json", "in-v2-cancel-refused.json", "in-v2-cancel-gateway-error.json",
			"in-v2-get-active.json", "in-v2-get-cancelled.json"},
	} {
		s := upstreamtest.Schema(t, "cleartax", name)
		for _, f := range fixtures {
			if err := upstreamtest.Valid(t, s, fixture(t, f)); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	for name, bodies := range map[string][]string{
		"my-cancel-request.json":      {`{"Reason":"","Action":"CANCEL"}`, `{"Reason":"x","Action":"REJECT"}`, `{"Reason":"` + strings.Repeat("x", 301) + `","Action":"CANCEL"}`},
		"my-cancel-reply.json":        {`{}`, `{"Success":"perhaps"}`, `{"Success":true,"CancelDate":"2024-07-21T19:07:07Z"}`},
		"in-govt-cancel-request.json": {`{"Irn":"` + irn + `","CnlRsn":"1","CnlRem":"x"}`, `{"irn":"` + irn + `","CnlRsn":1,"CnlRem":"x"}`, `{"irn":"` + irn + `","CnlRsn":"1","CnlRem":""}`},
		"in-v2-cancel-request.json":   {`[]`, `{"irn":"` + irn + `","CnlRsn":"1","CnlRem":"x"}`},
		"in-v2-reply.json":            {`[]`, `[{"document_status":"GONE"}]`},
	} {
		s := upstreamtest.Schema(t, "cleartax", name)
		for _, body := range bodies {
			if upstreamtest.Valid(t, s, body) == nil {
				t.Errorf("%s allows %s", name, body)
			}
		}
	}
}

// TestWhatIsSentKeepsTheSchemas checks the bytes that really leave, whatever the remarks.
func TestWhatIsSentKeepsTheSchemas(t *testing.T) {
	for _, remarks := range []string{"", "Wrong buyer", strings.Repeat("ü", 400), `"</script>&\`, "\xff\xfe"} {
		v := &vendor{cancel: always(500, "")}
		s := sharing(v)
		can := cancellation(docUUID)
		can.Remarks = remarks
		v.lookup = shelf(t, "my-lookup-valid.json", "")
		malaysia(t, s, malaysiaConfig()).Cancel(ctx, can, upstreamtest.Free)
		v.requests = v.requests[1:] // without the lookup of its name
		can.Document = irn
		for _, route := range []string{cleartax.Govt, cleartax.V2} {
			cfg := indiaConfig(route)
			cfg.RemarksTooLong = irp.Truncate
			cfg.Taxpayer = "29AAFCD5862R00" + map[string]string{cleartax.Govt: "1", cleartax.V2: "2"}[route]
			india(t, s, cfg).Cancel(ctx, can, upstreamtest.Free)
		}
		for i, name := range []string{"my-cancel-request.json", "in-govt-cancel-request.json", "in-v2-cancel-request.json"} {
			if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "cleartax", name), v.requests[i].body); err != nil {
				t.Errorf("%q: %v", remarks, err)
			}
		}
	}
}
