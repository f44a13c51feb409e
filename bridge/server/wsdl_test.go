package server_test

import (
	"encoding/xml"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/wsdl"
)

var location = regexp.MustCompile(`address location="([^"]*)"`)

// X19: the address is the configured one and the path that was asked for, whatever the headers say.
func TestWSDL(t *testing.T) {
	r := start(t)
	for target, want := range map[string]string{
		"/api.einvoice.php?wsdl":       "https://bridge.example/api.einvoice.php",
		"/api.einvoice.php?WSDL":       "https://bridge.example/api.einvoice.php",
		"//api.einvoice.php?wsdl":      "https://bridge.example/api.einvoice.php",
		"/einvoice?Wsdl":               "https://bridge.example/einvoice",
		"/EINVOICE?wsdl":               "https://bridge.example/einvoice",
		"/einvoice?singleWsdl":         "https://bridge.example/einvoice",
		"/einvoice?wsdl=1":             "https://bridge.example/einvoice",
		"/einvoice?a=b&wsdl":           "https://bridge.example/einvoice",
		"/wsdl/document.wsdl":          "https://bridge.example/api.einvoice.php",
		"/wsdl/Document.WSDL":          "https://bridge.example/api.einvoice.php",
		"/einvoice?wsdl&flavour=":      "",
		"/einvoice?wsdl&flavour=soap9": "",
		"/wsdl/soap9.wsdl":             "",
		"/wsdl/document":               "",
		"/wsdl/":                       "",
	} {
		got := r.get(target, "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: http\r\nForwarded: host=evil.example\r\n")
		got.wellFormed(t)
		if want == "" {
			said := "There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice"
			if strings.Contains(target, "flavour") || strings.HasSuffix(target, ".wsdl") {
				said = "There is no WSDL of that flavour; there are " + strings.Join(wsdl.Flavours(), ", ")
			}
			got.expect(t, target, 404, client+said)
			continue
		}
		if m := location.FindStringSubmatch(got.body); got.status != 200 || m == nil || m[1] != want {
			t.Errorf("%s: %d, address %v, want %s", target, got.status, m, want)
		}
		if strings.Contains(got.body, "evil.example") {
			t.Errorf("%s: holds the Host header", target)
		}
	}
}

// The description is made from the same table as the answers.
func TestWSDLIsTheContracts(t *testing.T) {
	r := start(t, func(s *setup) {
		c := soap.DefaultContract()
		c.Namespace = "urn:mine"
		c.Cancel.Response[0].Name = "IRN"
		c.Cancel.Response = append(c.Cancel.Response, soap.Part{Slot: soap.SlotConst, Name: "InfoDtls"})
		c.Cancel.ResponseWrapper = "return"
		c.Cancel.SOAPAction = "https://bridge.example/api.einvoice.php/eInvoiceCancel"
		c.Faults.TypedDetail = true
		s.Contract, s.Decoder = c, soap.NewDecoder(c)
	})
	for _, flavour := range wsdl.Flavours() {
		doc := r.get("/einvoice?wsdl&flavour=" + flavour).body
		for _, want := range []string{`"urn:mine"`, `name="IRN"`, `name="InfoDtls"`, `name="return"`, `soapAction="https://bridge.example/api.einvoice.php/eInvoiceCancel"`, `name="bridgeFault"`} {
			if !strings.Contains(doc, want) {
				t.Errorf("%s: no %s", flavour, want)
			}
		}
	}
	got := r.post(strings.Replace(envelope, "urn:server", "urn:mine", 1))
	if !strings.Contains(got.body, `<ns1:eInvoiceCancelResponse xmlns:ns1="urn:mine"><return><IRN>`+irn+`</IRN>`) || !strings.Contains(got.body, "<code>200</code><InfoDtls></InfoDtls></return>") {
		t.Errorf("answer %s", got.body)
	}
}

// The fault detail on the wire has the children that the description declares.
func TestTypedFaultIsTheDeclaredOne(t *testing.T) {
	r := start(t, func(s *setup) {
		c := soap.DefaultContract()
		c.Faults.TypedDetail = true
		s.Contract, s.Decoder = c, soap.NewDecoder(c)
	})
	var fault struct {
		Detail struct {
			Fault struct {
				Parts []struct{ XMLName xml.Name } `xml:",any"`
			} `xml:"urn:server bridgeFault"`
		} `xml:"Body>Fault>detail"`
	}
	if err := xml.Unmarshal([]byte(r.post("no XML").body), &fault); err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, p := range fault.Detail.Fault.Parts {
		parts = append(parts, p.XMLName.Local)
	}
	if diff := cmp.Diff(wsdl.FaultParts, parts); diff != "" {
		t.Errorf("detail (-declared +sent):\n%s", diff)
	}
}

func TestWSDLIsCached(t *testing.T) {
	r := start(t)
	first := r.get("/einvoice?wsdl")
	tag := first.header.Get("ETag")
	if len(tag) < 10 || tag == r.get("/api.einvoice.php?wsdl").header.Get("ETag") {
		t.Fatalf("ETag %q", tag)
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		if got := r.get("/einvoice?wsdl", "If-None-Match: "+match+"\r\n"); got.status != 304 || got.body != "" {
			t.Errorf("If-None-Match %s: %d with %d bytes", match, got.status, len(got.body))
		}
	}
	if got := r.get("/einvoice?wsdl", "If-None-Match: \"other\"\r\n"); got.status != 200 {
		t.Errorf("another tag: %d", got.status)
	}
	head := r.raw("HEAD /einvoice?wsdl HTTP/1.1\r\nHost: bridge\r\n\r\n")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != first.header.Get("Content-Length") || head.header.Get("ETag") != tag {
		t.Errorf("HEAD: %d, %d bytes, %v", head.status, len(head.body), head.header)
	}
}

// Tools that look for more than a WSDL wait for a quick no.
func TestProbesOfTools(t *testing.T) {
	r := start(t)
	for _, target := range []string{"/einvoice?xsd=1", "/einvoice?xsd=xsd0&wsdl", "/einvoice?disco", "/einvoice?DISCO", "/einvoice/mex", "/mex", "/einvoice?mex", "/favicon.ico"} {
		start := time.Now()
		r.get(target).expect(t, target, 404, client+"There is no service at this address; SOAP calls go to /api.einvoice.php or /einvoice")
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", target, took)
		}
	}
}

func TestSavedWSDL(t *testing.T) {
	const doc = "<?xml version='1.0' encoding='ISO-8859-1'?>\n<definitions xmlns=\"http://schemas.xmlsoap.org/wsdl/\"><!-- caf\xe9 --><soap:address xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" location='http://staging-soapapi.example/api.einvoice.php'/></definitions>"
	r := start(t, func(s *setup) { s.SavedWSDL = []byte(doc) })
	for _, target := range []string{"/einvoice?wsdl", "/einvoice?wsdl&flavour=saved"} {
		got := r.get(target)
		want := strings.Replace(doc, "http://staging-soapapi.example/api.einvoice.php", "https://bridge.example/einvoice", 1)
		if got.body != want || got.header.Get("Content-Type") != "text/xml; charset=iso-8859-1" {
			t.Errorf("%s: %s as %s", target, got.body, got.header.Get("Content-Type"))
		}
	}
	if got := r.get("/einvoice?wsdl&flavour=document"); !strings.Contains(got.body, "serverPortType") {
		t.Errorf("document flavour: %s", got.body)
	}
	if !strings.Contains(r.log.String(), "saved WSDL is not in UTF-8") {
		t.Error("no warning about the character set")
	}
}

// What is served is what package wsdl renders, to the last byte: the provider's own flavour at the provider's path, for
// programs that load it at run time, and the one that every generator takes at ours.
func TestServedIsRendered(t *testing.T) {
	r := start(t)
	for path, flavour := range map[string]string{"/api.einvoice.php": "rpc-literal", "/einvoice": "document"} {
		golden, err := os.ReadFile("../../fixtures/wsdl/" + flavour + ".wsdl")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(string(golden), "https://bridge.example/api.einvoice.php", "https://bridge.example"+path, 1)
		if diff := cmp.Diff(want, r.get(path+"?wsdl").body); diff != "" {
			t.Errorf("%s: -golden +served:\n%s", path, diff)
		}
	}
}

// A flavour that is configured is served at both paths; what rpc can't describe falls back to document.
func TestPlainWSDL(t *testing.T) {
	r := start(t, func(s *setup) { s.Flavour = "document-sequence" })
	for _, path := range server.Paths {
		if got := r.get(path + "?wsdl").body; !strings.Contains(got, "<xsd:sequence>") {
			t.Errorf("%s: %s", path, got)
		}
	}
	r = start(t, func(s *setup) {
		c := soap.DefaultContract()
		c.Qualified = true
		s.Contract, s.Decoder = c, soap.NewDecoder(c)
	})
	if got := r.get("/api.einvoice.php?wsdl").body; !strings.Contains(got, `style="document"`) {
		t.Errorf("qualified parts: %s", got)
	}
}
