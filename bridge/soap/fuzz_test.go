package soap_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/soap/payload"
)

// FuzzDecode: nothing that comes in makes the decoder fail otherwise than by a Fault; what it reads it reads again from
// its own spelling of the call; and the masked copy never shows the token.
func FuzzDecode(f *testing.F) {
	for _, path := range capturePaths(f) {
		h, body := readCapture(f, path)
		f.Add(h.ContentType, h.ContentEncoding, h.SOAPAction, body, uint8(0))
	}
	for _, folder := range []string{"accept", "refuse"} {
		for i, v := range readVectors(f, folder) {
			f.Add(v.header.ContentType, v.header.ContentEncoding, v.header.SOAPAction, v.body, uint8(i))
		}
	}
	c := soap.DefaultContract()
	f.Fuzz(func(t *testing.T, contentType, encoding, action string, body []byte, switches uint8) {
		d := soap.NewDecoder(c)
		d.Strict, d.BareParams, d.ActionDispatch = switches&1 != 0, switches&2 != 0, switches&4 != 0
		d.WholeTokens = (switches>>3)%2 != 0
		given := bytes.Clone(body)
		req, err := d.Decode(soap.Header{ContentType: contentType, ContentEncoding: encoding, SOAPAction: action}, body)
		if !bytes.Equal(given, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			checkFault(t, c, err)
			return
		}
		if err := soap.WellFormed(req.Doc()); err != nil {
			t.Fatalf("read from what is not well-formed: %v", err)
		}
		if masked := req.Masked(64 << 10); len(req.Text("access_token")) >= 8 && bytes.Contains(masked, []byte(req.Text("access_token"))) {
			t.Fatalf("the token shows: %s", masked)
		}
		op := c.Operation(req.Operation)
		again, err := soap.NewDecoder(c).Decode(c.RequestHeader(req.Version, op), c.EncodeRequest(req.Version, op, values(req)))
		if err != nil {
			t.Fatalf("our own spelling of the call is refused: %v", err)
		}
		if diff := cmp.Diff(values(req), values(again)); diff != "" {
			t.Fatalf("read differently from our own spelling:\n%s", diff)
		}
	})
}

func checkFault(t *testing.T, c *soap.Contract, err error) {
	t.Helper()
	var fault *soap.Fault
	if !errors.As(err, &fault) || fault.Text == "" || fault.Code == 0 || fault.Version == 0 {
		t.Fatalf("not a complete Fault: %#v", err)
	}
	body := c.EncodeFault(fault.Version, fault.Addressing, fault, "1")
	checkASCII(t, body)
	if fault.Code == soap.Server {
		t.Fatalf("a request is blamed on the server: %v", fault)
	}
	if _, err := soap.NewDecoder(c).DecodeReply(soap.Header{}, body); err != nil {
		t.Fatalf("the fault can't be read: %v in %s", err, body)
	}
}

// FuzzCharset: a document is refused or becomes UTF-8 of legal characters, which then reads as itself.
func FuzzCharset(f *testing.F) {
	for _, path := range capturePaths(f) {
		h, body := readCapture(f, path)
		_, label, _ := strings.Cut(h.ContentType, "charset=")
		f.Add(label, body)
	}
	for _, v := range readVectors(f, "accept") {
		if strings.HasPrefix(v.name, "utf-") || strings.HasPrefix(v.name, "latin-") || strings.HasPrefix(v.name, "windows-") {
			for _, label := range []string{"", "utf-8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "us-ascii", "utf-7"} {
				f.Add(label, v.body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, label string, body []byte) {
		doc, err := payload.Transcode(body, label, 128<<10)
		if err != nil {
			return
		}
		if !utf8.Valid(doc) || bytes.ContainsAny(doc, "\x00\x01\x08\x0B\x1F\uFFFE\uFFFF") {
			t.Fatalf("not legal UTF-8: %q", doc)
		}
		if bytes.HasPrefix(doc, []byte("\uFEFF")) || bytes.HasPrefix(doc, []byte("<?xml")) {
			return // a second mark, or a declaration that no longer counts
		}
		again, err := payload.Transcode(doc, "utf-8", 128<<10)
		if err != nil || !bytes.Equal(doc, again) {
			t.Fatalf("reads differently the second time: %v\n%q\n%q", err, doc, again)
		}
	})
}

// FuzzReply: whatever an upstream puts into its texts, the answer is one line of ASCII XML with our six parts and reads
// back as what was meant.
func FuzzReply(f *testing.F) {
	f.Add("1e6a", "2021-06-01 20:30:00", "</errorMessage><code>200</code>", "204", true, false)
	f.Add("\x00\xff", "₹\uFFFE", "&#0;]]>\r\n", "", false, true)
	for _, path := range capturePaths(f) {
		_, body := readCapture(f, path)
		f.Add("", "", string(body), "204", true, true)
	}
	c := soap.DefaultContract()
	d := soap.NewDecoder(c)
	f.Fuzz(func(t *testing.T, irn, date, message, code string, failed, soap12 bool) {
		v := soap.SOAP11
		if soap12 {
			v = soap.SOAP12
		}
		body := c.EncodeCancel(v, nil, soap.CancelReply{IRN: irn, CancelDate: date, Failed: failed, Message: message, Code: code})
		checkASCII(t, body)
		reply, err := d.DecodeReply(soap.Header{ContentType: c.ContentType(v)}, body)
		if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if reply.Version != v || reply.Cancel.Failed != failed || reply.Fault != nil {
			t.Fatalf("came back as %+v", reply)
		}
		if utf8.ValidString(message) && !strings.ContainsAny(message, "\uFFFE\uFFFF") && reply.Cancel.Message != cleaned(message) {
			t.Fatalf("message %q came back as %q", message, reply.Cancel.Message)
		}
	})
}
