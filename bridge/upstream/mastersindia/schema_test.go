package mastersindia_test

import (
	"os"
	"strings"
	"testing"

	"einvoice-bridge/bridge/upstream/mastersindia"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/mastersindia"
	"einvoice-bridge/schemas"
)

func TestSamplesKeepTheSchemas(t *testing.T) {
	for file, name := range map[string]string{"cancel-legacy.json": "legacy-cancel-request.json", "cancel-v1.json": "v1-cancel-request.json"} {
		raw, err := os.ReadFile("../../../fixtures/mastersindia/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "mastersindia", name), raw); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	irn := strings.Repeat("a", 64)
	for name, bodies := range map[string][]string{
		"legacy-login-request.json": {`{"username":"a","password":"b","client_id":"c","client_secret":"d"}`},
		"legacy-login-reply.json":   {`{"access_token":""}`, `{"access_token":"x","error":"invalid_client"}`},
		"legacy-error.json":         {`{"error":"because"}`},
		"v1-login-reply.json":       {`{"token":"a b"}`, `{"error":"Unable to login with provided credential"}`},
		"v1-error.json":             {`{}`, `{"irn":"text"}`},
		"v1-cancel-request.json": {
			`{"user_gstin":"g","irn":"` + irn + `","cancel_reason":1,"cancel_remarks":"r","ewaybill_cancel":""}`,
			`{"user_gstin":"g","irn":"` + strings.ToUpper(irn) + `","cancel_reason":"1","cancel_remarks":"r","ewaybill_cancel":""}`,
			`{"user_gstin":"g","irn":"` + irn + `","cancel_reason":"1","cancel_remarks":"r","ewaybill_cancel":"1"}`,
			`{"user_gstin":"g","irn":"` + irn + `","cancel_reason":"1","cancel_remarks":"","ewaybill_cancel":""}`,
		},
		"legacy-cancel-request.json": {`{"user_gstin":"g","irn":"` + irn + `","cancel_reason":"1","cancel_remarks":"r"}`},
		"cancel-reply.json":          {`{"results":{"message":"","status":"Success","code":200}}`, `{"results":{"status":"Success","code":204}}`, `{}`},
		"get-reply.json":             {`{"results":{"message":{"Irn":"` + irn + `"},"status":"Success","code":200}}`},
	} {
		s := upstreamtest.Schema(t, "mastersindia", name)
		for _, body := range bodies {
			if upstreamtest.Valid(t, s, []byte(body)) == nil {
				t.Errorf("%s allows %s", name, body)
			}
		}
	}
}

// TestTheWireKeepsTheSchemas checks what really goes to the simulator and comes back, refusals included.
func TestTheWireKeepsTheSchemas(t *testing.T) {
	checked := map[string]int{}
	hold := func(t *testing.T, call sandbox.Record, name string, body []byte) {
		if name == "" {
			return
		}
		checked[name]++
		if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "mastersindia", name), body); err != nil {
			t.Errorf("%s %s: %v\n%s", call.Method, call.URL, err, body)
		}
	}
	both(t, func(t *testing.T, api string) {
		b := newBench(t, api, nil)
		b.arm(t, "cancel:expire_tokens=401*1", "cancel:error_in_message*1", "get:message_null*1", "cancel:code_string*1")
		for _, remarks := range []string{"", "Wrong entry", strings.Repeat("ü", 100), `"</script>&\`, "\xff\xfe"} {
			for _, irn := range []string{sim.DemoIRN, sim.DemoOldIRN, sim.DemoForeignIRN, unheardOf} {
				c := cancellation(irn)
				c.Remarks = remarks
				b.Cancel(t.Context(), c, upstreamtest.Free)
				if _, err := b.Lookup(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		}
		for _, call := range b.sim.Calls() {
			request, reply := contract(call, api)
			hold(t, call, request, call.Request)
			hold(t, call, reply, call.Reply)
		}
		refused := newBench(t, api, func(c *mastersindia.Config) { c.Password = "wrong-one" })
		if err := refused.Probe(t.Context()); err == nil {
			t.Error("a wrong password was let in")
		}
		for _, call := range refused.sim.Calls() {
			hold(t, call, api+"-error.json", call.Reply)
		}
	})
	files, err := schemas.Files.ReadDir("mastersindia")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if checked[file.Name()] == 0 {
			t.Errorf("nothing was held against %s", file.Name())
		}
	}
}

// contract names the schemas of a call.
func contract(call sandbox.Record, api string) (request, reply string) {
	switch call.Operation {
	case sandbox.Auth:
		request, reply = api+"-login-request.json", api+"-login-reply.json"
	case sandbox.Cancel:
		request, reply = api+"-cancel-request.json", "cancel-reply.json"
	default:
		reply = "get-reply.json"
	}
	if call.Status != 200 {
		reply = api + "-error.json"
	}
	return request, reply
}
