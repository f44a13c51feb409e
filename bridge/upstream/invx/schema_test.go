package invx_test

import (
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/invx"
)

func TestDocumentedSamplesKeepTheSchemas(t *testing.T) {
	for file, name := range map[string]string{
		"cancel-request.json": "cancel-request.json",
		"cancel-reply.json":   "cancel-reply.json",
		"cancel-refused.json": "error.json",
	} {
		raw, err := os.ReadFile("../../../fixtures/invx/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "invx", name), raw); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	for name, bodies := range map[string][]string{
		"login-request.json": {`{"handle":"a","password":"b","handleType":"email","tokenDurationInMins":361}`, `{}`},
		"login-reply.json":   {`{"data":{"token":""}}`, `{"data":null}`},
		"cancel-request.json": {`[]`, `[{"docId":"x","comments":"","cancelReason":"1","action":"can"}]`,
			`[{"docId":"x","comments":"y","cancelReason":1,"action":"can"}]`, `[{"docId":"x","comments":"y","cancelReason":"1","action":"del"}]`},
		"cancel-reply.json": {`{"status":"1","data":[]}`, `{"status":"1","data":[{"itemStatus":"1","itemData":null}]}`, `{}`},
		"error.json":        {`{"error":{"message":"Oops"}}`, `{"status":"0"}`},
		"search-reply.json": {`{"status":"1","data":null}`},
		"document-reply.json": {`{"status":"1","data":[]}`,
			`{"data":{"id":"x","irn":"` + sim.DemoIRN + `","sellerGstin":"s","status":"240","irnResponse":"{\"CancelDate\":7}"}}`},
	} {
		s := upstreamtest.Schema(t, "invx", name)
		for _, body := range bodies {
			if upstreamtest.Valid(t, s, []byte(body)) == nil {
				t.Errorf("%s allows %s", name, body)
			}
		}
	}
}

// TestTheWireKeepsTheSchemas checks what really goes to the simulator and comes back, refusals included.
func TestTheWireKeepsTheSchemas(t *testing.T) {
	b := newBench(t, nil)
	faults := []string{"cancel:item_failure=text*1", "cancel:item_failure=list*1", "cancel:item_failure=object*1", "cancel:error_on_200*1", "cancel:irp_error_variant=2*1"}
	for i, remarks := range []string{"", "Wrong entry", strings.Repeat("ü", 100), `"</script>&\`, "\xff\xfe", "last"} {
		if i < len(faults) {
			b.arm(t, faults[i])
		}
		for _, irn := range []string{sim.DemoIRN, sim.DemoOldIRN, sim.DemoFrozenIRN, unheardOf} {
			c := cancellation(irn)
			c.Remarks = remarks
			b.Cancel(t.Context(), c, upstreamtest.Free)
			if _, err := b.Lookup(t.Context(), c); err != nil {
				t.Error(err)
			}
		}
		b.sim.Disarm("")
	}
	checked := map[string]int{}
	for _, call := range b.sim.Calls() {
		request, reply := contract(call)
		if request != "" {
			checked[request]++
			if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "invx", request), call.Request); err != nil {
				t.Errorf("sent to %s: %v\n%s", call.URL, err, call.Request)
			}
		}
		checked[reply]++
		if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "invx", reply), call.Reply); err != nil {
			t.Errorf("came from %s: %v\n%s", call.URL, err, call.Reply)
		}
	}
	for _, name := range []string{"login-request.json", "login-reply.json", "search-reply.json", "document-reply.json", "cancel-request.json", "cancel-reply.json", "error.json"} {
		if checked[name] == 0 {
			t.Errorf("nothing was held against %s", name)
		}
	}
}

// contract names the schemas of a call.
func contract(call sandbox.Record) (request, reply string) {
	path, _, _ := strings.Cut(call.URL, "?")
	switch {
	case call.Method == "POST" && strings.HasSuffix(path, "/authtokens"):
		request, reply = "login-request.json", "login-reply.json"
	case call.Method == "PATCH":
		request, reply = "cancel-request.json", "cancel-reply.json"
	case strings.HasSuffix(path, "/edocuments"):
		reply = "search-reply.json"
	default:
		reply = "document-reply.json"
	}
	if call.Status != 200 {
		reply = "error.json"
	}
	return request, reply
}
