package soap_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"einvoice-bridge/bridge/soap"
)

func TestMaskedEnvelope(t *testing.T) {
	req, err := soap.NewDecoder(soap.DefaultContract()).Decode(seedHeader, []byte(seedEnvelope))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(seedEnvelope, "b29cee2156282be62f51b24fe8b3f07f01c9bff1", "***", 1)
	if got := string(req.Masked(8 << 10)); got != want {
		t.Errorf("got %s", got)
	}
}

// However a secret is spelled, wherever it stands: it is not in what is kept. Everything else is.
func TestMaskHidesSecrets(t *testing.T) {
	const secret = "hunter2-swordfish"
	wrap := func(header, op, params, after string) string {
		return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server">` + header +
			`<e:Body><urn:` + op + `>` + params + `</urn:` + op + `>` + after + `</e:Body></e:Envelope>`
	}
	const wsse = `http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd`
	const rest = `<irn>1e6a</irn><cancel_remarks>keep me</cancel_remarks>`
	for name, doc := range map[string]string{
		"plain":              wrap("", "eInvoiceCancel", `<access_token>`+secret+`</access_token>`+rest, ""),
		"white space around": wrap("", "eInvoiceCancel", "<access_token>\n  "+secret+"\n</access_token>"+rest, ""),
		"CDATA":              wrap("", "eInvoiceCancel", `<access_token><![CDATA[`+secret+`]]></access_token>`+rest, ""),
		"qualified":          wrap("", "eInvoiceCancel", `<urn:access_token>`+secret+`</urn:access_token>`+rest, ""),
		"typed":              wrap("", "eInvoiceCancel", `<access_token a="b" >`+secret+`</access_token >`+rest, ""),
		"letter case":        wrap("", "eInvoiceCancel", `<Access_Token>`+secret+`</Access_Token>`+rest, ""),
		"misspelled":         wrap("", "eInvoiceCancel", `<acess_tokn>`+secret+`</acess_tokn>`+rest, ""),
		"unknown and nested": wrap("", "eInvoiceCancel", `<auth><key>`+secret+`</key></auth>`+rest, ""),
		"foreign namespace":  wrap("", "eInvoiceCancel", `<x:access_token xmlns:x="urn:x">`+secret+`</x:access_token>`+rest, ""),
		"in an attribute":    wrap("", "eInvoiceCancel", `<access_token value="`+secret+`"/>`+rest, ""),
		"named attribute":    wrap("", "eInvoiceCancel", `<irn password = '`+secret+`' >1e6a</irn><cancel_remarks>keep me</cancel_remarks>`, ""),
		"by reference":       wrap("", "eInvoiceCancel", `<access_token href="#t"/>`+rest, `<multiRef id="t">`+secret+`</multiRef>`),
		"unused reference":   wrap("", "eInvoiceCancel", rest, `<multiRef id="t"><a>`+secret+`</a></multiRef>`),
		"in a comment":       wrap("", "eInvoiceCancel", `<!-- <access_token>`+secret+`</access_token> -->`+rest, ""),
		"comment inside":     wrap("", "eInvoiceCancel", `<access_token><!-- x -->`+secret+`<!-- y --></access_token>`+rest, ""),
		"in a wrong field":   wrap("", "eInvoiceCancel", `<access_token>`+secret+`</access_token><user_gstin>`+secret+`</user_gstin>`+rest, ""),
		"token call":         wrap("", "access_new_token", `<userName>keep me 1e6a</userName><passwd>`+secret+`</passwd><client_secret>`+secret+`</client_secret>`, ""),
		"UsernameToken": wrap(`<e:Header><w:Security xmlns:w="`+wsse+`"><w:UsernameToken><w:Username>u</w:Username><w:Password>`+secret+
			`</w:Password></w:UsernameToken></w:Security></e:Header>`, "eInvoiceCancel", rest, ""),
		"BinarySecurityToken": wrap(`<e:Header><w:Security xmlns:w="`+wsse+`"><w:BinarySecurityToken>`+secret+
			`</w:BinarySecurityToken></w:Security></e:Header>`, "eInvoiceCancel", rest, ""),
		"home-made header": wrap(`<e:Header><a:Auth xmlns:a="urn:a"><a:Key>`+secret+`</a:Key></a:Auth></e:Header>`, "eInvoiceCancel", rest, ""),
	} {
		t.Run(name, func(t *testing.T) {
			req, err := soap.NewDecoder(soap.DefaultContract()).Decode(seedHeader, []byte(doc))
			if err != nil {
				t.Fatal(err)
			}
			masked := string(req.Masked(8 << 10))
			if strings.Contains(masked, secret) {
				t.Errorf("leaks: %s", masked)
			}
			for _, kept := range []string{"1e6a", "keep me", "***"} {
				if !strings.Contains(masked, kept) {
					t.Errorf("lost %q: %s", kept, masked)
				}
			}
		})
	}
}

// What a contract calls the token is masked whatever it is called.
func TestMaskFollowsContract(t *testing.T) {
	c := soap.DefaultContract()
	c.Cancel.Request[0].Name = "sid"
	req, err := soap.NewDecoder(c).Decode(seedHeader, []byte(strings.ReplaceAll(seedEnvelope, "access_token>", "sid>")))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(req.Masked(8 << 10)); !strings.Contains(got, "<sid>***</sid>") {
		t.Errorf("got %s", got)
	}
}

// A declaration says how a tag is written and is kept, be its prefix called like a secret.
func TestMaskKeepsDeclarations(t *testing.T) {
	doc := strings.Replace(seedEnvelope, "<irn>", `<irn xmlns:token="urn:t" token:a="b">`, 1)
	req, err := soap.NewDecoder(soap.DefaultContract()).Decode(seedHeader, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(req.Masked(8 << 10)); !strings.Contains(got, `<irn xmlns:token="urn:t" token:a="b">`) {
		t.Errorf("got %s", got)
	}
}

// What is kept is text in UTF-8, whatever came in.
func TestMaskedIsUTF8(t *testing.T) {
	for _, v := range readVectors(t, "accept") {
		req, err := v.dec.Decode(v.header, v.body)
		if err != nil {
			t.Fatal(err)
		}
		for _, max := range []int{0, 1, 100, 8 << 10} {
			if got := req.Masked(max); len(got) > max || !utf8.Valid(got) {
				t.Errorf("%s cut to %d: %q", v.name, max, got)
			}
		}
	}
}

func TestMaskedIsCutBetweenCharacters(t *testing.T) {
	doc := strings.Replace(seedEnvelope, "Wrong entry", "₹₹₹₹", 1)
	req, err := soap.NewDecoder(soap.DefaultContract()).Decode(seedHeader, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	full := string(req.Masked(8 << 10))
	at := strings.Index(full, "₹")
	for cut, want := range map[int]int{at: at, at + 1: at, at + 2: at, at + 3: at + 3} {
		if got := string(req.Masked(cut)); got != full[:want] {
			t.Errorf("cut to %d: %d bytes, want %d", cut, len(got), want)
		}
	}
}
