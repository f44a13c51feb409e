package soap_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"einvoice-bridge/bridge/soap"
)

// legal draws text that XML can carry and that trimming leaves alone.
func legal(label string, max int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := rapid.StringN(0, max, -1).Draw(t, label)
		s = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF || r == utf8.RuneError {
				return -1
			}
			return r
		}, s)
		return strings.Trim(s, " \t\r\n")
	})
}

var versions = rapid.SampledFrom([]soap.Version{soap.SOAP11, soap.SOAP12})

// What our client sends our decoder reads, to the character.
func TestRequestRoundTrip(t *testing.T) {
	c := soap.DefaultContract()
	d := soap.NewDecoder(c)
	d.Strict = true
	rapid.Check(t, func(t *rapid.T) {
		v := versions.Draw(t, "version")
		op := rapid.SampledFrom([]*soap.Operation{&c.Cancel, &c.Token}).Draw(t, "operation")
		sent := map[string]string{}
		for _, p := range op.Request {
			sent[p.Slot] = legal(p.Slot, 100).Draw(t, p.Slot)
		}
		// These two are put right on the way: see the vectors reason-zeros and remarks-c1.
		sent[soap.SlotCancelReason] = strings.TrimLeft(sent[soap.SlotCancelReason], "0")
		sent[soap.SlotCancelRemarks] = strings.Trim(strings.Map(func(r rune) rune {
			if r >= 0x7F && r <= 0x9F {
				return -1
			}
			return r
		}, sent[soap.SlotCancelRemarks]), " \t\r\n")
		if op == &c.Token {
			delete(sent, soap.SlotCancelReason)
			delete(sent, soap.SlotCancelRemarks)
		}
		req, err := d.Decode(c.RequestHeader(v, op), c.EncodeRequest(v, op, sent))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, values(req)); diff != "" || req.Version != v || req.Operation != op.Name {
			t.Fatalf("SOAP %s %s (-sent +read):\n%s", req.Version, req.Operation, diff)
		}
	})
}

// What we answer our client reads back, but for what a message on one line can't hold.
func TestReplyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawContract(t)
		v := versions.Draw(t, "version")
		sent := soap.CancelReply{
			IRN: legal("irn", 70).Draw(t, "irn"), CancelDate: legal("date", 30).Draw(t, "date"),
			Failed: rapid.Bool().Draw(t, "failed"), Message: legal("message", 1200).Draw(t, "message"),
			Code: rapid.StringMatching(`[0-9]{3}`).Draw(t, "code"),
		}
		body := c.EncodeCancel(v, nil, sent)
		checkASCII(t, body)
		got, err := soap.NewDecoder(c).DecodeReply(soap.Header{ContentType: c.ContentType(v)}, body)
		if err != nil {
			t.Fatal(err)
		}
		want := &soap.Reply{Version: v, Operation: c.Cancel.Name, Cancel: soap.CancelReply{
			IRN: cleaned(sent.IRN), CancelDate: cleaned(sent.CancelDate), Failed: sent.Failed, Message: cleaned(sent.Message), Code: sent.Code,
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-sent +read:\n%s", diff)
		}
	})
}

func cleaned(s string) string { return strings.Trim(soap.Cleaned(s), " \t\r\n") }

func drawContract(t *rapid.T) *soap.Contract {
	c := soap.DefaultContract()
	c.Qualified = rapid.Bool().Draw(t, "qualified")
	c.Mimic.EncodingStyle = rapid.Bool().Draw(t, "encoding style")
	c.Mimic.ResponseCharset = rapid.SampledFrom([]string{"", "utf-8", "iso-8859-1"}).Draw(t, "charset")
	c.Cancel.ResponseWrapper = rapid.SampledFrom([]string{"", "return"}).Draw(t, "wrapper")
	if rapid.Bool().Draw(t, "constant") {
		c.Cancel.Response = append(c.Cancel.Response, soap.Part{Slot: soap.SlotConst, Name: "InfoDtls", Const: "<x>"})
	}
	if errs := c.Check(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return c
}

func TestTokenRoundTrip(t *testing.T) {
	c := soap.DefaultContract()
	for _, v := range []soap.Version{soap.SOAP11, soap.SOAP12} {
		for _, sent := range []soap.TokenReply{issued, denied} {
			got, err := soap.NewDecoder(c).DecodeReply(soap.Header{ContentType: c.ContentType(v)}, c.EncodeToken(v, wsa, sent))
			if err != nil {
				t.Fatal(err)
			}
			if got.Token != sent || got.Operation != "access_new_token" || got.Fault != nil {
				t.Errorf("got %+v", got)
			}
		}
	}
}

func TestFaultRoundTrip(t *testing.T) {
	c := soap.DefaultContract()
	for _, v := range []soap.Version{soap.SOAP11, soap.SOAP12} {
		for _, typed := range []bool{false, true} {
			c.Faults.TypedDetail = typed
			for _, sent := range []*soap.Fault{nosuch, unknown, mismatch, mandatory, soap.ClientFault("a [ref b] c")} {
				got, err := soap.NewDecoder(c).DecodeReply(soap.Header{}, c.EncodeFault(v, wsa, sent, "7f3a"))
				if err != nil {
					t.Fatal(err)
				}
				if got.Fault == nil || got.Fault.Code != sent.Code || got.Fault.Text != sent.Text || got.Ref != "7f3a" {
					t.Errorf("SOAP %s: %v came back as %v, ref %s", v, sent, got.Fault, got.Ref)
				}
				if v == soap.SOAP12 && got.Fault.Subcode != sent.Subcode {
					t.Errorf("subcode %v came back as %v", sent.Subcode, got.Fault.Subcode)
				}
			}
		}
	}
}

// checkASCII holds an answer to what every character set agrees on, and to XML.
func checkASCII(t interface{ Fatalf(string, ...any) }, body []byte) {
	for i, b := range body {
		if b >= 0x80 || b < ' ' {
			t.Fatalf("byte %#x at %d of %s", b, i, body)
		}
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = passThrough
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
	}
}

// passThrough is the character set of answers, which are ASCII whatever they declare.
func passThrough(_ string, in io.Reader) (io.Reader, error) { return in, nil }
