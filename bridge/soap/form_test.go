package soap_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"einvoice-bridge/bridge/soap"
)

const oddAnswer = `<?xml version="1.0" encoding="ISO-8859-1"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" e:encodingStyle="Odd" ` +
	`xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:d="http://www.w3.org/2001/XMLSchema"><e:Header><a/><b/></e:Header><e:Body><n:Answer xmlns:n="urn:x"><return>` +
	`<Nr i:type="d:string">1</Nr><n:Session i:type="n:key">cafe0123cafe</n:Session><Text i:nil="true"/><!-- cafe0123 --><Box><Password>12</Password></Box><T><![CDATA[cafe4567cafe]]></T></return></n:Answer></e:Body></e:Envelope>`

func TestReadForm(t *testing.T) {
	f, err := soap.ReadForm(soap.Header{ContentType: "text/xml; charset=ISO-8859-1"}, []byte(oddAnswer), true)
	if err != nil {
		t.Fatal(err)
	}
	want := &soap.Form{
		Version: soap.SOAP11, Charset: "iso-8859-1", Declaration: "iso-8859-1", EncodingStyle: "Odd", Blocks: 2, Element: "Answer", Namespace: "urn:x", Wrapper: "return",
		Parts: []soap.PartForm{
			{Name: "Nr", Type: "string", Text: "1"}, {Name: "Session", Namespace: "urn:x", Type: "{urn:x}key", Text: "cafe0123cafe"}, {Name: "Text", Nil: true},
			{Name: "Box", Parts: []soap.PartForm{{Name: "Password", Text: "12"}}}, {Name: "T", Text: "cafe4567cafe"},
		},
	}
	if diff := cmp.Diff(want, f, cmpopts.IgnoreUnexported(soap.Form{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	masked := string(f.Masked(1 << 20))
	if masked != strings.NewReplacer("cafe0123cafe", "***", " cafe0123 ", "***", ">12<", ">***<", "<![CDATA[cafe4567cafe]]>", "***").Replace(oddAnswer) {
		t.Errorf("masked: %s", masked)
	}
	again, err := soap.ReadForm(soap.Header{ContentType: "text/xml"}, []byte(masked), false)
	if err != nil || len(again.Parts) != 5 || again.Parts[1].Name != "Session" || again.Parts[1].Text != "***" {
		t.Errorf("what is masked can't be read again: %v, %+v", err, again)
	}
}

// What is no SOAP answer is none, however it calls itself.
func TestReadFormRefuses(t *testing.T) {
	for name, answer := range map[string][2]string{
		"HTML":        {"text/html", "<html><body>Down</body></html>"},
		"HTML as XML": {"text/xml", "<html><body>Down</body></html>"},
		"nothing":     {"text/xml", ""},
		"cut off":     {"text/xml", oddAnswer[:len(oddAnswer)-9]},
		"a warning":   {"text/xml", "<b>Warning</b>" + oddAnswer},
		"two answers": {"text/xml", strings.Replace(oddAnswer, "</n:Answer>", "</n:Answer><n:Answer xmlns:n='urn:x'/>", 1)},
		"a DTD":       {"text/xml", "<!DOCTYPE x>" + oddAnswer},
		"JSON":        {"application/json", "{}"},
	} {
		if f, err := soap.ReadForm(soap.Header{ContentType: answer[0]}, []byte(answer[1]), false); err == nil {
			t.Errorf("%s is read: %+v", name, f)
		}
	}
}

// A token is found by its part's name, or by being the one text that can be none but it.
func TestIssued(t *testing.T) {
	op := soap.DefaultContract().Token
	answer := func(parts string) *soap.Form {
		f, err := soap.ReadForm(soap.Header{}, []byte(`<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><r>`+parts+`</r></e:Body></e:Envelope>`), true)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const long = "0123456789abcdef0123"
	for name, tc := range map[string]struct {
		parts, token string
		seconds      int
	}{
		"documented":   {"<access_token>short</access_token><expires_in>14400</expires_in><token_type>" + long + "</token_type><x/>", "short", 14400},
		"another case": {"<AccessToken>abc</AccessToken><ExpiresIn>60</ExpiresIn>", "abc", 60},
		"odd":          {"<Kind>bearer</Kind><Lasts>7200</Lasts><Session>" + long + "</Session>", long, 7200},
		"no life":      {"<Kind>bearer</Kind><Session>" + long + "</Session>", long, 3600},
		"refused":      {"<Kind/><Session/><Error>Invalid username and password combination</Error>", "", 3600},
	} {
		if token, seconds := op.Issued(answer(tc.parts)); token != tc.token || seconds != tc.seconds {
			t.Errorf("%s: %q for %d s", name, token, seconds)
		}
	}
}

// Reading an answer of whatever bytes ends, and its masked copy holds no long text where tokens are.
func FuzzReadForm(f *testing.F) {
	f.Add([]byte(oddAnswer), "text/xml; charset=ISO-8859-1")
	f.Add([]byte(strings.Replace(oddAnswer, "ISO-8859-1", "utf-16", 1)), "")
	f.Add([]byte(`<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body><Fault/></Body></Envelope>`), "application/soap+xml")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		form, err := soap.ReadForm(soap.Header{ContentType: contentType}, body, true)
		if err != nil {
			return
		}
		masked := form.Masked(1 << 20)
		again, err := soap.ReadForm(soap.Header{}, masked, false)
		if err != nil { // its declaration may name what it is not in any more
			return
		}
		var look func([]soap.PartForm)
		look = func(parts []soap.PartForm) {
			for _, p := range parts {
				if len(p.Parts) == 0 && len(p.Text) >= 40 && !strings.ContainsAny(p.Text, " \t\r\n\u0085\u00a0\u2028\u2029\u2000\u3000") {
					t.Errorf("%q is not masked", p.Text)
				}
				look(p.Parts)
			}
		}
		look(again.Parts)
	})
}
