package myinvois_test

import (
	"net/url"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream/upstreamtest"
	"einvoice-bridge/fixtures/sandbox"
	sim "einvoice-bridge/fixtures/sandbox/myinvois"
)

func TestFixturesKeepTheSchemas(t *testing.T) {
	for name, fixtures := range map[string][]string{
		"cancel-request.json": {"cancel-request.json", "cancel-request-documented.json"},
		"cancel-reply.json":   {"cancel-reply.json", "cancel-reply-documented.json", "cancel-reply-with-error.json"},
		"error.json": {"error-forbidden.json", "error-permission.json", "error-operation-period-over.json", "error-active-references.json",
			"error-incorrect-state.json", "error-status-not-valid.json", "error-not-now.json", "error-bad-argument.json", "error-null-message.json", "error-two-details.json",
			"error-not-found.json", "error-documented.json", "error-documented-validation.json"},
		"login-reply.json":   {"login-reply.json"},
		"login-error.json":   {"login-error.json"},
		"details-reply.json": {"details-valid.json", "details-cancelled.json", "details-invalid.json"},
	} {
		s := upstreamtest.Schema(t, "myinvois", name)
		for _, f := range fixtures {
			if err := upstreamtest.Valid(t, s, fixture(t, f)); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

func TestSchemasRefuseWhatIsWrong(t *testing.T) {
	for name, bodies := range map[string][]string{
		"cancel-request.json": {`{"status":"Cancelled","reason":"x"}`, `{"status":"cancelled","reason":""}`, `{"status":"cancelled"}`,
			`{"status":"cancelled","reason":"` + strings.Repeat("x", 301) + `"}`, `{"status":"cancelled","reason":"a\nb"}`},
		"error.json":         {`{"error":{}}`, `{"error":{"message":"no code"}}`, `{}`},
		"login-error.json":   {`{"error":{"code":"AccessDenied"}}`},
		"details-reply.json": {`{"uuid":"A","status":"Cancelled","cancelDateTime":"2021-02-25 01:59:10"}`},
	} {
		s := upstreamtest.Schema(t, "myinvois", name)
		for _, body := range bodies {
			if upstreamtest.Valid(t, s, body) == nil {
				t.Errorf("%s allows %s", name, body)
			}
		}
	}
}

// TestWhatIsSentKeepsTheSchemas checks the bytes that really leave, whatever the remarks.
func TestWhatIsSentKeepsTheSchemas(t *testing.T) {
	cancel, login := upstreamtest.Schema(t, "myinvois", "cancel-request.json"), upstreamtest.Schema(t, "myinvois", "login-request.json")
	for _, remarks := range []string{"", "Wrong buyer", strings.Repeat("ü", 400), "a\u0000\u0085b\r\n", `"</script>&\`, "\xff\xfe"} {
		m := &authority{}
		c := cancellation()
		c.Remarks = remarks
		adapter(t, sharing(m), config()).Cancel(ctx, c, upstreamtest.Free)
		if err := upstreamtest.Valid(t, cancel, m.seen("/state")[0].body); err != nil {
			t.Errorf("%q: %v", remarks, err)
		}
		form, err := url.ParseQuery(m.seen("/connect/token")[0].body)
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]any{}
		for name, values := range form {
			fields[name] = values[0]
		}
		if err := login.Validate(fields); err != nil {
			t.Error(err)
		}
	}
}

// keepSchemas holds what really came from the simulator against what we say we rely on.
func keepSchemas(t *testing.T, exchanges []bridge.Exchange) {
	t.Helper()
	for _, e := range exchanges {
		name := map[string]string{"login": "login-reply.json", "cancel": "cancel-reply.json", "lookup": "details-reply.json"}[e.Purpose]
		if e.Status >= 400 {
			name = "error.json"
		}
		if err := upstreamtest.Valid(t, upstreamtest.Schema(t, "myinvois", name), e.Response); err != nil {
			t.Errorf("%s %s: %v", e.Purpose, e.Response, err)
		}
	}
}

func TestDocumentedErrorsKeepTheSchema(t *testing.T) {
	s, a := against(t, nil)
	if err := s.Arm(sandbox.Fault{Name: "documented_error_shape"}); err != nil {
		t.Fatal(err)
	}
	keepSchemas(t, a.Cancel(ctx, document(sim.DemoForeignUUID), upstreamtest.Free).Exchanges)
}
