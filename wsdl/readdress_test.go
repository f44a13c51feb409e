package wsdl_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/wsdl"
)

const newAddress = "https://bridge.example/api.einvoice.php?a=1&b=2"

// saved descriptions as customers keep them: the change must hit the address and nothing else.
func TestReaddress(t *testing.T) {
	const open = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/">`
	const escaped = "https://bridge.example/api.einvoice.php?a=1&amp;b=2"
	for name, tc := range map[string]struct{ in, want string }{
		"double quotes": {
			open + `<s:address location="http://old/x"/></definitions>`,
			open + `<s:address location="` + escaped + `"/></definitions>`},
		"single quotes, other attributes, odd space": {
			open + "<s:address x:location='no' \n location = 'http://old/x' wsdl='location=\"\"' />\r\n</definitions>",
			open + "<s:address x:location='no' \n location = '" + escaped + "' wsdl='location=\"\"' />\r\n</definitions>"},
		"long form and default namespace": {
			open + `<address xmlns="http://schemas.xmlsoap.org/wsdl/soap/" location=""></address></definitions>`,
			open + `<address xmlns="http://schemas.xmlsoap.org/wsdl/soap/" location="` + escaped + `"></address></definitions>`},
		"a 1.2 port too, an HTTP port not": {
			open + `<s:address location="a"/><t:address xmlns:t="http://schemas.xmlsoap.org/wsdl/soap12/" location="b"/><h:address xmlns:h="http://schemas.xmlsoap.org/wsdl/http/" location="c"/></definitions>`,
			open + `<s:address location="` + escaped + `"/><t:address xmlns:t="http://schemas.xmlsoap.org/wsdl/soap12/" location="` + escaped + `"/><h:address xmlns:h="http://schemas.xmlsoap.org/wsdl/http/" location="c"/></definitions>`},
		"ISO-8859-1, an address in a comment": {
			"<?xml version='1.0' encoding='ISO-8859-1'?>" + open + "<!-- \xe9 <s:address location=\"keep\"/> --><s:address location=\"caf\xe9\"/>\xff</definitions>",
			"<?xml version='1.0' encoding='ISO-8859-1'?>" + open + "<!-- \xe9 <s:address location=\"keep\"/> --><s:address location=\"" + escaped + "\"/>\xff</definitions>"},
		"byte order mark": {
			"\xef\xbb\xbf<?xml version=\"1.0\"?>" + open + `<s:address location="http://old/é"/></definitions>`,
			"\xef\xbb\xbf<?xml version=\"1.0\"?>" + open + `<s:address location="` + escaped + `"/></definitions>`},
	} {
		got, err := wsdl.Readdress([]byte(tc.in), newAddress)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tc.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestReaddressUTF16(t *testing.T) {
	const doc = "\ufeff<?xml version=\"1.0\" encoding=\"utf-16\"?><d xmlns:s=\"http://schemas.xmlsoap.org/wsdl/soap/\"><!-- ₹ \U0001F600 --><s:address location=\"http://old\"/></d>"
	for _, big := range []bool{true, false} {
		for _, mark := range []bool{true, false} {
			in := doc
			if !mark {
				in = strings.TrimPrefix(in, "\ufeff")
			}
			got, err := wsdl.Readdress(wide(in, big), "https://new")
			if err != nil {
				t.Fatal(err)
			}
			if want := wide(strings.Replace(in, "http://old", "https://new", 1), big); !bytes.Equal(got, want) {
				t.Errorf("big endian %v, mark %v: got % x", big, mark, got)
			}
		}
	}
	odd := append(wide(doc, true), 0)
	if _, err := wsdl.Readdress(odd, "https://new"); err == nil {
		t.Error("half a character at the end was accepted")
	}
}

func wide(s string, big bool) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return out
}

func TestReaddressRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"empty":          "",
		"no address":     `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"/>`,
		"no location":    `<s:address xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"/>`,
		"HTML":           `<html><body>Sign in<br></body></html>`,
		"cut off":        `<d xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"><s:address location="a"/>`,
		"foreign prefix": `<s:address xmlns:s="urn:other" location="a"/>`,
	} {
		if out, err := wsdl.Readdress([]byte(doc), newAddress); err == nil {
			t.Errorf("%s: accepted as %s", name, out)
		}
	}
}

// Our own flavours stand for saved ones: readdressed they must equal what is rendered for that address.
func TestReaddressEqualsRender(t *testing.T) {
	for _, f := range wsdl.Flavours() {
		elsewhere := provider()
		elsewhere.Location = newAddress
		got, err := wsdl.Readdress(render(t, f, provider()), newAddress)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(render(t, f, elsewhere)), string(got)); diff != "" {
			t.Errorf("%s (-rendered +readdressed):\n%s", f, diff)
		}
	}
}

func TestCharset(t *testing.T) {
	for doc, want := range map[string]string{
		`<?xml version="1.0" encoding="ISO-8859-1"?><a/>`:         "iso-8859-1",
		`<?xml version='1.0' encoding='UTF-8' ?><a/>`:             "utf-8",
		"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>x": "utf-8",
		`<?xml version="1.0"?><a encoding="latin"/>`:              "utf-8",
		`<a encoding="latin"/>`:                                   "utf-8",
		"\xff\xfe<\x00":                                           "utf-16",
		"":                                                        "utf-8",
	} {
		if got := wsdl.Charset([]byte(doc)); got != want {
			t.Errorf("%q: %s, want %s", doc, got, want)
		}
	}
}

// Whatever is accepted comes back with nothing but the address changed: giving it the old address again restores it.
func FuzzReaddress(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("..", "fixtures", "wsdl", "*.wsdl"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Add(wide("\ufeff<s:address xmlns:s=\"http://schemas.xmlsoap.org/wsdl/soap/\" location='x'/>", false))
	f.Fuzz(func(t *testing.T, doc []byte) {
		once, err := wsdl.Readdress(doc, "urn:a")
		if err != nil {
			return
		}
		there, err := wsdl.Readdress(once, "urn:something-else")
		if err != nil {
			t.Fatalf("own output refused: %v", err)
		}
		back, err := wsdl.Readdress(there, "urn:a")
		if err != nil || !bytes.Equal(once, back) {
			t.Fatalf("not restored (%v): %q, %q", err, once, back)
		}
	})
}
