package mastersindia

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

var update = flag.Bool("update", false, "write what replies mean into fixtures/mastersindia")

const (
	samples   = "../../../fixtures/mastersindia/"
	sampleIRN = "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae"
)

func TestGoldenCancels(t *testing.T) {
	upstreamtest.Golden(t, samples+"replies.txtar", *update, func(r *upstream.Reply) string {
		b := read(r)
		if b.refusesToken(r.Status) {
			return "token refused\n"
		}
		return upstreamtest.Words(classify(r, b, sampleIRN))
	})
}

func TestGoldenLogins(t *testing.T) {
	upstreamtest.Golden(t, samples+"logins.txtar", *update, func(r *upstream.Reply) string {
		b := read(r)
		words := ""
		for _, api := range []string{Legacy, V1} {
			if value, life := dialects[api].token(b, r.Date()); tokenIn(r, b, value) {
				words += fmt.Sprintf("%s: %s for %s\n", api, value, life)
			}
		}
		if words == "" {
			words = upstreamtest.Words(upstream.BeforeCancel(noToken(r, b)))
		}
		return words
	})
}

func TestTokenTexts(t *testing.T) {
	for text, want := range map[string]bool{
		"The access token provided is invalid":   true,
		"The access token provided has expired":  true,
		"invalid_token":                          true,
		"1005: Invalid Token":                    false, // the provider's own session at NIC
		"105: Invalid Token":                     true,  // a gateway, seen in production, 2026-11
		"106: Invalid Token":                     true,
		"105: Invalid date":                      false,
		"2143: Invoice does not belongs to user": false,
	} {
		b := &body{Results: &results{Error: lenient(text), Status: "Failed", Code: "204"}}
		if got := b.refusesToken(200); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !(&body{Error: "invalid_token"}).refusesToken(400) || !(&body{}).refusesToken(401) {
		t.Error("a sign-on's refusal is not seen")
	}
	// Masters India v1, seen in production, 2026-11.
	if !(&body{Detail: "Signature has expired."}).refusesToken(403) || (&body{Detail: "You do not have permission to perform this action."}).refusesToken(403) {
		t.Error("a 403 about the token is not told from one about rights")
	}
	if (&body{Results: &results{Error: "105: Invalid Token", Status: "Success", Code: "200"}}).refusesToken(200) {
		t.Error("a success is sent again because of the words beside it")
	}
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(samples + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The provider's SOAP sample, carried to its own REST APIs.
func TestRequestsForTheSOAPSample(t *testing.T) {
	c := bridge.Cancellation{Taxpayer: "09AAAPG7885R002", Document: sampleIRN, Reason: bridge.Duplicate, Remarks: "Wrong entry"}
	for api, file := range map[string]string{Legacy: "cancel-legacy.json", V1: "cancel-v1.json"} {
		q := dialects[api].cancel("b29cee2156282be62f51b24fe8b3f07f01c9bff1", c)
		var want, got any
		if err := json.Unmarshal(sample(t, file), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(q.Body, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", api, d)
		}
		if auth := q.Header["Authorization"]; (len(auth) == 1) != (api == V1) {
			t.Errorf("%s: Authorization is %q", api, auth)
		}
	}
}

func TestRemarksAreNeverEmptyNorTooLong(t *testing.T) {
	for _, reason := range []bridge.Reason{bridge.Duplicate, bridge.DataEntry, bridge.OrderCancelled, bridge.Others} {
		if o := orderOf(bridge.Cancellation{Reason: reason}); o.Remarks != reason.Label() || o.Reason != string(reason) {
			t.Errorf("%s: %+v", reason, o)
		}
	}
}

// FuzzReply reads whatever comes back, as each of the calls would: nothing may panic, and no success is believed that
// does not name the IRN.
func FuzzReply(f *testing.F) {
	f.Add(200, []byte(`{"results":{"message":{"Irn":"`+sampleIRN+`","CancelDate":"2021-06-01 20:30:00"},"status":"Success","code":200}}`))
	f.Add(200, []byte(`{"results":{"message":"","errorMessage":"9999: Invoice is not active","InfoDtls":"","status":"Failed","code":204}}`))
	f.Add(200, []byte(`{"results":{"message":{"Irn":"`+sampleIRN+`","Status":"ACT","AckNo":112010036563310},"status":"Success","code":"200"}}`))
	f.Add(400, []byte(`{"irn":["not an IRN"],"error":{"a":1}}`))
	f.Add(401, []byte(`{"error":"invalid_token","error_description":"The access token provided has expired"}`))
	f.Add(200, []byte(`{"token":"a.eyJleHAiOjE2MjI2NDYwMDB9.c","access_token":"x","expires_in":3600}`))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		r := &upstream.Reply{Status: status, Body: raw, Written: true}
		b := read(r)
		o := classify(r, b, sampleIRN)
		if o.Class == bridge.None {
			t.Error("no outcome")
		}
		if b.Results != nil {
			if i, ok := b.Results.invoice(); o.Class == bridge.Cancelled && (!ok || len(i.IRN) != 64 || status/100 != 2) {
				t.Errorf("%s is taken for a success", raw)
			}
			b.Results.state(sampleIRN)
		} else if o.Class == bridge.Cancelled {
			t.Errorf("%s is taken for a success", raw)
		}
		b.refusesToken(status)
		for _, d := range dialects {
			if _, life := d.token(b, r.Date()); life <= 0 {
				t.Errorf("a token lives for %s", life)
			}
		}
		noToken(r, b)
	})
}

// What a call's JSON costs: writing the cancel, reading its reply and what that means.
func BenchmarkJSON(b *testing.B) {
	reply := &upstream.Reply{Status: 200, Written: true, Body: []byte(`{"results":{"message":{"Irn":"` + sampleIRN +
		`","CancelDate":"2021-06-01 20:30:00"},"errorMessage":"","InfoDtls":"","status":"Success","code":200}}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(legacyCancel{"token", order{"09AAAPG7885R002", sampleIRN, "1", "Wrong entry"}}); err != nil {
			b.Fatal(err)
		}
		if o := classify(reply, read(reply), sampleIRN); o.Class != bridge.Cancelled {
			b.Fatal(o)
		}
	}
	b.ReportMetric(10, "budget-µs/op")
	b.ReportMetric(40, "budget-allocs/op")
}
