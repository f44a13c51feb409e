package server_test

import (
	"encoding/xml"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
)

// Rules of WS-I Basic Profile 1.1 about answers and HTTP, over every kind of answer.
func TestBasicProfileOfAnswers(t *testing.T) {
	r := start(t)
	kinds := map[string]response{
		"success": r.post(envelope), "denial": r.post(strings.Replace(envelope, token, "x", 1)),
		"token": r.post(login("s3cret", "s3cret")), "no token": r.post(login("s3cret", "no")),
		"Client fault": r.post("no XML"), "VersionMismatch": r.post(strings.Replace(envelope, "schemas.xmlsoap.org", "example.org", 1)),
		"MustUnderstand": r.post(strings.Replace(envelope, "<soapenv:Header/>", `<soapenv:Header><x:y xmlns:x="urn:x" soapenv:mustUnderstand="1"/></soapenv:Header>`, 1)),
		"404":            r.post(envelope + "x"),
	}
	r.answer = func(bridge.Request) bridge.Answer { return bridge.Answer{Fault: bridge.FaultUnknown} }
	kinds["Server fault"] = r.post(envelope)
	for name, got := range kinds {
		t.Run(name, func(t *testing.T) {
			got.wellFormed(t)
			fault := strings.Contains(got.body, "Fault>")
			if want := map[bool]int{false: 200, true: 500}[fault]; got.status != want {
				t.Errorf("R1124, R1126: status %d, want %d", got.status, want)
			}
			checkEnvelope(t, got.body, fault)
		})
	}
}

func checkEnvelope(t *testing.T, body string, fault bool) {
	type element struct {
		XMLName xml.Name
		Attrs   []xml.Attr `xml:",any,attr"`
		Nodes   []struct {
			XMLName xml.Name
			Nodes   []struct{ XMLName xml.Name } `xml:",any"`
		} `xml:",any"`
	}
	const ns = "http://schemas.xmlsoap.org/soap/envelope/"
	var env struct {
		XMLName xml.Name
		Parts   []element `xml:",any"`
	}
	if err := xml.Unmarshal([]byte(body), &env); err != nil {
		t.Fatal(err)
	}
	if env.XMLName != (xml.Name{Space: ns, Local: "Envelope"}) || len(env.Parts) != 1 || env.Parts[0].XMLName != (xml.Name{Space: ns, Local: "Body"}) {
		t.Fatalf("R9980, R1011: %s", body)
	}
	if len(env.Parts[0].Nodes) != 1 {
		t.Fatalf("R9981: %d elements in the Body", len(env.Parts[0].Nodes))
	}
	if strings.Contains(body, "encodingStyle") || strings.Contains(body, "<!DOCTYPE") || strings.Contains(body, "xmlns:xml=") || strings.Count(body, "<?") != 1 {
		t.Errorf("R1005 to R1009, R1033: %s", body)
	}
	child := env.Parts[0].Nodes[0]
	var parts []string
	for _, p := range child.Nodes {
		if p.XMLName.Space != "" {
			t.Errorf("R1001, R2735: %s is qualified", p.XMLName.Local)
		}
		parts = append(parts, p.XMLName.Local)
	}
	switch {
	case fault:
		if diff := cmp.Diff([]string{"faultcode", "faultstring", "faultactor", "detail"}, parts); diff != "" {
			t.Errorf("R1000:\n%s", diff)
		}
		if code := (response{body: body}).part("faultcode"); !regexp.MustCompile(`^SOAP-ENV:(Client|Server|VersionMismatch|MustUnderstand)$`).MatchString(code) {
			t.Errorf("R1004: faultcode %s", code)
		}
	case child.XMLName.Space != "urn:server":
		t.Errorf("R1014, R2729: the Body's child is in %q", child.XMLName.Space)
	case child.XMLName.Local == "eInvoiceCancelResponse":
		if diff := cmp.Diff([]string{"Irn", "CancelDate", "error", "errorMessage", "status", "code"}, parts); diff != "" {
			t.Errorf("R2301, R2211:\n%s", diff)
		}
	default:
		if diff := cmp.Diff([]string{"access_token", "expires_in", "token_type", "error_description"}, parts); diff != "" {
			t.Errorf("R2301, R2211:\n%s", diff)
		}
	}
}
