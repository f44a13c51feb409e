package soap_test

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/soap"
	vectors "einvoice-bridge/fixtures/soap"
)

// vector is one of fixtures/soap, with the decoder that it wants.
type vector struct {
	name   string
	header soap.Header
	body   []byte
	dec    *soap.Decoder
	want   map[string]string
}

func readVectors(t testing.TB, folder string) []vector {
	t.Helper()
	read, err := vectors.Read(folder)
	if err != nil || len(read) == 0 {
		t.Fatalf("no vectors in %s: %v", folder, err)
	}
	var all []vector
	for _, r := range read {
		v := vector{
			name: r.Name, body: r.Body, want: r.Want, dec: soap.NewDecoder(soap.DefaultContract()),
			header: soap.Header{ContentType: r.ContentType, ContentEncoding: r.ContentEncoding, SOAPAction: r.SOAPAction},
		}
		for _, option := range r.Switches {
			if err := v.switchOn(option); err != nil {
				t.Fatalf("%s: %v", v.name, err)
			}
		}
		all = append(all, v)
	}
	return all
}

func (v *vector) switchOn(option string) error {
	switch option {
	case "strict":
		v.dec.Strict = true
	case "security-check":
		v.dec.WholeTokens = true
	case "bare-params":
		v.dec.BareParams = true
	case "action-dispatch":
		v.dec.ActionDispatch = true
	case "understood":
		v.dec.Understood = []string{"{urn:tracing}Trace"}
	case "understood-any":
		v.dec.UnderstoodAny = true
	case "xml-1.1":
		v.dec.XML11 = true
	case "more-header-blocks":
		v.dec = v.dec.With(soap.Accept{HeaderBlocks: 64})
	default:
		return fmt.Errorf("unknown decoder switch %q", option)
	}
	return nil
}

func pack(body []byte, open func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := open(&b)
	w.Write(body)
	w.Close()
	return b.Bytes()
}

// Every oddity of a real or imaginable caller that is tolerated has its file, with what must be read from it.
func TestAccepted(t *testing.T) {
	for _, v := range readVectors(t, "accept") {
		t.Run(v.name, func(t *testing.T) {
			req, err := v.dec.Decode(v.header, v.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.want, read(req)); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

// read lists what is worth saying of a request: the sample call's usual values are left out.
func read(req *soap.Request) map[string]string {
	usual := map[string]string{
		"version": "1.1", "operation": "eInvoiceCancel", "namespace": "urn:server",
		"access_token": "b29cee21", "user_gstin": "09AAAPG7885R002", "irn": "1e6a", "cancel_reason": "1", "cancel_remarks": "Wrong entry",
	}
	m := map[string]string{"version": req.Version.String(), "operation": req.Operation, "namespace": req.Namespace}
	for _, p := range req.Params {
		m[p.Slot] = map[soap.State]string{soap.Absent: "(absent)", soap.Nil: "(nil)", soap.Empty: "(empty)", soap.Text: p.Text}[p.State]
	}
	for key, value := range usual {
		if m[key] == value {
			delete(m, key)
		}
	}
	if a := req.Addressing; a != nil {
		m["message-id"] = a.MessageID
	}
	if u := req.UsernameToken; u != nil {
		m["username-token"] = strings.TrimSpace(fmt.Sprintf("%s %s %v %s %s", u.Username, u.Password, u.Digest, u.Nonce, u.Created))
	}
	if len(req.Unplaced) > 0 {
		m["unplaced"] = strings.Join(req.Unplaced, " ")
	}
	if len(req.Notes) > 0 {
		m["notes"] = strings.Join(req.Notes, "; ")
	}
	return m
}

// Every refused input has its file, with the fault that answers it.
func TestRefused(t *testing.T) {
	for _, v := range readVectors(t, "refuse") {
		t.Run(v.name, func(t *testing.T) {
			req, err := v.dec.Decode(v.header, v.body)
			if err == nil {
				t.Fatalf("was accepted: %v", read(req))
			}
			f := soap.AsFault(err)
			got := map[string]string{"code": f.Code.String(), "text": f.Text}
			if f.Subcode.Local != "" {
				got["subcode"] = f.Subcode.Prefix + ":" + f.Subcode.Local
			}
			if f.HTTPStatus != 0 {
				got["http"] = strconv.Itoa(f.HTTPStatus)
			}
			if f.Version == soap.SOAP12 {
				got["version"] = "1.2"
			}
			if f.Operation != "" {
				got["operation"] = f.Operation
			}
			if f.UnknownOperation() {
				got["relay"] = "may be relayed"
			}
			for _, n := range f.NotUnderstood {
				got["not-understood"] += "{" + n.Space + "}" + n.Local
			}
			if diff := cmp.Diff(v.want, got); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
		})
	}
}
