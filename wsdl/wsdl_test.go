package wsdl_test

import (
	"bytes"
	"encoding/xml"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/wsdl"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// provider is the documented service.
func provider() wsdl.Params {
	return wsdl.Params{
		Location:  "https://bridge.example/api.einvoice.php",
		Namespace: "urn:server",
		Operations: []wsdl.Operation{
			{
				Name: "access_new_token", Documentation: "Get Access token", SOAPAction: "urn:server#access_new_token",
				Request:  []string{"username", "password", "client_id", "client_secret", "grant_type"},
				Response: []string{"access_token", "expires_in", "token_type", "error_description"},
			},
			{
				Name: "eInvoiceCancel", Documentation: "Cancel E-Invoice", SOAPAction: "urn:server#eInvoiceCancel",
				Request:  []string{"access_token", "user_gstin", "irn", "cancel_reason", "cancel_remarks"},
				Optional: []string{"cancel_remarks"},
				Response: []string{"Irn", "CancelDate", "error", "errorMessage", "status", "code"},
			},
		},
	}
}

// variants are all flavours, each also with a typed fault and with a response wrapper.
func variants(t *testing.T) map[string][]byte {
	t.Helper()
	plain, typed, wrapped := provider(), provider(), provider()
	typed.TypedFault = true
	for i := range wrapped.Operations {
		wrapped.Operations[i].Wrapper = "return"
	}
	docs := map[string][]byte{}
	for _, f := range wsdl.Flavours() {
		docs[f] = render(t, f, plain)
		docs[f+"+fault"] = render(t, f, typed)
		docs[f+"+return"] = render(t, f, wrapped)
	}
	return docs
}

func render(t *testing.T, flavour string, p wsdl.Params) []byte {
	t.Helper()
	doc, err := wsdl.Render(flavour, p)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestGolden(t *testing.T) {
	for name, doc := range variants(t) {
		file := filepath.Join("..", "fixtures", "wsdl", name+".wsdl")
		if *update {
			if err := os.WriteFile(file, doc, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(doc)); diff != "" {
			t.Errorf("%s (-golden +rendered):\n%s", name, diff)
		}
	}
}

// published.wsdl is the description as it was tried on the client stacks of fixtures/interop, written by hand. Only white space between elements may
// differ from it.
func TestDefaultIsThePublishedOne(t *testing.T) {
	published, err := os.ReadFile(filepath.Join("..", "fixtures", "wsdl", "published.wsdl"))
	if err != nil {
		t.Fatal(err)
	}
	between := regexp.MustCompile(`>\s+<`)
	squeeze := func(b []byte) string { return strings.TrimSpace(between.ReplaceAllString(string(b), "><")) }
	if diff := cmp.Diff(squeeze(published), squeeze(render(t, wsdl.Default, provider()))); diff != "" {
		t.Errorf("-published +rendered:\n%s", diff)
	}
}

// R2028 and R2029: valid by the schemas of WSDL 1.1 and its SOAP binding; and the embedded schema compiles.
func TestSchemaValid(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	schemas, err := filepath.Abs(filepath.Join("..", "fixtures", "wsdl", "schemas"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	both := filepath.Join(dir, "both.xsd")
	write(t, both, []byte(`<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:w="http://schemas.xmlsoap.org/wsdl/">`+
		`<xs:import namespace="http://schemas.xmlsoap.org/wsdl/" schemaLocation="`+schemas+`/wsdl.xsd"/>`+
		`<xs:import namespace="http://schemas.xmlsoap.org/wsdl/soap/" schemaLocation="`+schemas+`/wsdl-soap.xsd"/></xs:schema>`))
	for name, doc := range variants(t) {
		file := filepath.Join(dir, name+".wsdl")
		write(t, file, doc)
		if out, err := exec.Command(xmllint, "--nonet", "--noout", "--schema", both, file).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", name, out)
		}
		inner := regexp.MustCompile(`(?s)<xsd:schema.*</xsd:schema>`).Find(doc)
		if inner == nil {
			continue // plain rpc has no types
		}
		text := strings.Replace(string(inner), "<xsd:schema", `<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:tns="urn:server"`, 1)
		xsd, empty := filepath.Join(dir, name+".xsd"), filepath.Join(dir, "empty.xml")
		write(t, xsd, []byte(text))
		write(t, empty, []byte(`<nothing/>`))
		out, _ := exec.Command(xmllint, "--nonet", "--noout", "--schema", xsd, empty).CombinedOutput()
		if bytes.Contains(out, []byte("parser error")) || bytes.Contains(out, []byte("failed to compile")) {
			t.Errorf("%s: embedded schema: %s", name, out)
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestValuesAreEscaped(t *testing.T) {
	p := provider()
	p.Location = `https://bridge.example/a?b=1&c="<2>"`
	p.Operations[0].Documentation = "<Token> & more"
	for _, f := range wsdl.Flavours() {
		if err := xml.Unmarshal(render(t, f, p), new(struct{})); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestDocumentFlavoursTakeAnyAnswerElement(t *testing.T) {
	p := provider()
	p.Qualified = true
	p.Operations[1].ResponseName = "CancelResult"
	doc := string(render(t, "document-soap12", p))
	for _, want := range []string{`<xsd:element name="CancelResult">`, `<wsdl:message name="eInvoiceCancelResponse"><wsdl:part name="parameters" element="tns:CancelResult"/>`, `elementFormDefault="qualified"`} {
		if !strings.Contains(doc, want) {
			t.Errorf("no %s in %s", want, doc)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		flavour string
		change  func(*wsdl.Params)
		want    string
	}{
		"unknown flavour":     {"soap13", func(*wsdl.Params) {}, `unknown WSDL flavour "soap13"`},
		"no location":         {wsdl.Default, func(p *wsdl.Params) { p.Location = "" }, "location"},
		"part no XML name":    {wsdl.Default, func(p *wsdl.Params) { p.Operations[1].Response[0] = "1rn" }, `"1rn" is no XML name`},
		"part with colon":     {wsdl.Default, func(p *wsdl.Params) { p.Operations[1].Request[0] = "a:b" }, `"a:b" is no XML name`},
		"part twice":          {wsdl.Default, func(p *wsdl.Params) { p.Operations[1].Response[1] = "Irn" }, `"Irn" stands twice`},
		"operation twice":     {wsdl.Default, func(p *wsdl.Params) { p.Operations[1].Name = "access_new_token" }, "stands twice"},
		"wrapper no name":     {wsdl.Default, func(p *wsdl.Params) { p.Operations[0].Wrapper = "a b" }, `"a b" is no XML name`},
		"rpc can't rename":    {"rpc-encoded", func(p *wsdl.Params) { p.Operations[0].ResponseName = "token" }, "R2729"},
		"rpc can't qualify":   {"rpc-literal", func(p *wsdl.Params) { p.Qualified = true }, "R2735"},
		"no operation at all": {wsdl.Default, func(p *wsdl.Params) { p.Operations = nil }, "operation"},
	} {
		p := provider()
		tc.change(&p)
		if _, err := wsdl.Render(tc.flavour, p); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, tc.want)
		}
	}
}
