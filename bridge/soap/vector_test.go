package soap_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"einvoice-bridge/bridge/soap"
)

// A vector is one file of fixtures/soap/accept or fixtures/soap/refuse: a sentence on what it shows, then
//
//	-- header --  Content-Type, Content-Encoding and SOAPAction as sent; transform: what is done to the body before it
//	              is sent; decoder: the switches that are on
//	-- body --    the request; the newline at its end is not sent
//	-- want --    accept: what must be read; refuse: the fault
//
// An unknown key is an error, so that no expectation can be misspelled away.
type vector struct {
	name   string
	header soap.Header
	body   []byte
	dec    *soap.Decoder
	want   map[string]string
}

func readVectors(t testing.TB, folder string) []vector {
	t.Helper()
	paths, err := filepath.Glob("../../fixtures/soap/" + folder + "/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no vectors in %s: %v", folder, err)
	}
	var all []vector
	for _, path := range paths {
		v, err := readVector(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, v)
	}
	return all
}

func readVector(path string) (vector, error) {
	v := vector{name: strings.TrimSuffix(filepath.Base(path), ".txtar"), dec: soap.NewDecoder(soap.DefaultContract())}
	a, err := txtar.ParseFile(path)
	if err != nil {
		return v, err
	}
	if len(bytes.TrimSpace(a.Comment)) == 0 {
		return v, fmt.Errorf("no sentence on what it shows")
	}
	sections := map[string]string{}
	for _, f := range a.Files {
		sections[f.Name] = string(f.Data)
	}
	if len(sections) != 3 {
		return v, fmt.Errorf("sections must be header, body and want")
	}
	v.body = []byte(strings.TrimSuffix(sections["body"], "\n"))
	v.header.ContentType = "text/xml; charset=utf-8"
	for key, value := range pairs(sections["header"]) {
		if err := v.set(key, value); err != nil {
			return v, err
		}
	}
	v.want = pairs(sections["want"])
	return v, nil
}

func pairs(section string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(section) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			m[key] = strings.Trim(value, " \t\r\n")
		}
	}
	return m
}

func (v *vector) set(key, value string) error {
	switch key {
	case "Content-Type":
		v.header.ContentType = value
	case "Content-Encoding":
		v.header.ContentEncoding = value
	case "SOAPAction":
		v.header.SOAPAction = value
	case "transform":
		for step := range strings.FieldsSeq(value) {
			if err := v.transform(step); err != nil {
				return err
			}
		}
	case "decoder":
		for option := range strings.FieldsSeq(value) {
			if err := v.switchOn(option); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("unknown header key %q", key)
	}
	return nil
}

func (v *vector) switchOn(option string) error {
	switch option {
	case "strict":
		v.dec.Strict = true
	case "refuse-multipart":
		v.dec.RefuseMultipart = true
	case "bare-params":
		v.dec.BareParams = true
	case "action-dispatch":
		v.dec.ActionDispatch = true
	case "security-check":
		v.dec.Security = soap.SecurityCheck
	case "security-refuse":
		v.dec.Security = soap.SecurityRefuse
	case "understood":
		v.dec.Understood = []xml.Name{{Space: "urn:tracing", Local: "Trace"}}
	default:
		return fmt.Errorf("unknown decoder switch %q", option)
	}
	return nil
}

func (v *vector) transform(step string) (err error) {
	switch step {
	case "bom":
		v.body = append([]byte("\uFEFF"), v.body...)
	case "crlf":
		v.body = bytes.ReplaceAll(v.body, []byte("\n"), []byte("\r\n"))
	case "newline":
		v.body = append(v.body, '\n')
	case "empty":
		v.body = nil
	case "truncate":
		v.body = v.body[:len(v.body)-8]
	case "unescape": // \xNN and the like, for bytes that a text file shouldn't hold
		var s string
		s, err = strconv.Unquote("`" + string(v.body) + "`")
		if err == nil {
			s, err = strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(s) + `"`)
		}
		v.body = []byte(s)
	case "windows-1252":
		v.body, err = charmap.Windows1252.NewEncoder().Bytes(v.body)
	case "utf-16le":
		v.body, err = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().Bytes(v.body)
	case "utf-16be":
		v.body, err = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().Bytes(v.body)
	case "gzip":
		v.body = pack(v.body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	case "zlib":
		v.body = pack(v.body, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	case "deflate":
		v.body = pack(v.body, func(w io.Writer) io.WriteCloser {
			fw, _ := flate.NewWriter(w, flate.BestCompression)
			return fw
		})
	default:
		err = fmt.Errorf("unknown transform %q", step)
	}
	return err
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
