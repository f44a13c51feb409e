package cleartax

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

func seeds(f *testing.F, pattern string) {
	files, err := filepath.Glob("../../../fixtures/cleartax/" + pattern)
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, status := range []int{200, 400, 403, 404} {
			f.Add(status, body)
		}
	}
	f.Add(200, []byte("<html>"))
	f.Add(200, []byte(`{"Success":true,"ErrorDetails":[null,{"ErrorCode":7}]}`))
	f.Add(403, []byte(`{"ErrorDetails":[{}]}`))
	f.Add(200, []byte(`[{"govt_response":{"Success":"Y","ErrorDetails":{"errors":[]}},"errors":{"errors":null}}]`))
}

// sound is what must hold for the outcome of a cancel, whatever came.
func sound(t *testing.T, o bridge.Outcome, status int, body []byte) {
	t.Helper()
	switch {
	case o.Class == bridge.None || o.Class > bridge.Unclear:
		t.Fatalf("class %s", o.Class)
	case o.Class == bridge.Cancelled && (status >= 300 || len(o.Date) != 19):
		t.Fatalf("HTTP %d became cancelled on %q: %s", status, o.Date, body)
	case (o.Class == bridge.Refused || o.Class == bridge.AlreadyCancelled || o.Class == bridge.Unclear) && (o.Message == "" || status >= 500):
		t.Fatalf("HTTP %d is %s without a reason: %s", status, o.Class, body)
	case o.Class == bridge.Misconfigured && o.Alarm == "":
		t.Fatalf("nobody is called: %s", body)
	}
}

func reply(status int, body []byte) *upstream.Reply {
	return &upstream.Reply{Status: status, Header: http.Header{}, Body: body, Written: true}
}

// FuzzMalaysianCancelReply: no panic, a known class, success only as the reply says it.
func FuzzMalaysianCancelReply(f *testing.F) {
	seeds(f, "my-*.json")
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + ((status-200)%400+400)%400 // 200 to 599, as net/http gives them
		r := reply(status, body)
		o := classifyMY(r, verdict(r), named{id: "e4a1c07b-95d2-4c3e-8f60-2b7d9a518c36", uuid: "MZQRKQKTXF6F4HJ7HW307B3J10"})
		sound(t, o, status, body)
		if text := strings.ToLower(string(body)); o.Class == bridge.Cancelled && !strings.Contains(text, `\`) &&
			!strings.Contains(text, "mzqrkqktxf6f4hj7hw307b3j10") && !strings.Contains(text, "e4a1c07b") {
			t.Fatalf("HTTP %d cancels another document: %s", status, body)
		}
		if o.Class != bridge.Cancelled && o.Message == "" || o.ByState && o.Class != bridge.Refused {
			t.Fatalf("%s, %q, by state %v: %s", o.Class, o.Message, o.ByState, body)
		}
	})
}

// FuzzMalaysianLookupReply: no panic, and an id that is used in a path is one.
func FuzzMalaysianLookupReply(f *testing.F) {
	seeds(f, "my-*.json")
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := reply(status, body)
		for _, name := range []string{"uuid", "document-id"} {
			found, o := readLookupMY(r, verdict(r), question{name: name, value: "MZQRKQKTXF6F4HJ7HW307B3J10"})
			if found.id != "" && (!documentID.MatchString(found.id) || o.Class != bridge.None) {
				t.Fatalf("document id %q with %s", found.id, o.Class)
			}
			if found.uuid != "" && !lhdnUUID.MatchString(found.uuid) {
				t.Fatalf("UUID %q", found.uuid)
			}
			if s := found.state(); s.Status != bridge.StatusUnknown && (found.named == named{} || status >= 300) {
				t.Fatalf("HTTP %d tells %v: %s", status, s.Status, body)
			}
		}
	})
}

// FuzzIndianReply: no panic on either route, a known class, success and state only for the IRN that was asked for.
func FuzzIndianReply(f *testing.F) {
	const irn = "a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229"
	seeds(f, "in-*.json")
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + ((status-200)%400+400)%400 // 200 to 599, as net/http gives them
		r := reply(status, body)
		for _, way := range []route{govt, v2} {
			read, readable := way.read(body)
			o := classifyIN(r, read, readable, verdict(r), way, irn)
			sound(t, o, status, body)
			state, failure := readLookupIN(r, way, irn)
			told := o.Class == bridge.Cancelled || state.Status != bridge.StatusUnknown
			if told && !strings.Contains(strings.ToLower(string(body)), "a5c12dca") && !strings.Contains(string(body), `\`) {
				t.Fatalf("HTTP %d tells of another IRN: %s", status, body)
			}
			if failure.Class != bridge.None && state.Status != bridge.StatusUnknown {
				t.Fatalf("%s and %v at once", failure.Class, state.Status)
			}
		}
	})
}
