package server_test

import (
	"bufio"
	hexadecimal "encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/soap/saved"
	"einvoice-bridge/fixtures/original/nusoap"
	vectors "einvoice-bridge/fixtures/soap"
)

// onPurpose is what the original serves and the bridge refuses, with the reason. A probe is excused by the first entry
// whose words are all in its name; anything else that the original serves and the bridge doesn't fails the test.
var onPurpose = []difference{
	// Unsafe, or with two readings.
	{[]string{"dtd"}, "a document type declaration can fetch files and grow without bound"},
	{[]string{"second operation"}, "two operations in one Body: which one is meant?"},
	{[]string{"beside the operation"}, "an element beside the operation in Body: which one is meant?"},
	{[]string{"refuse/second-body-element"}, "an element beside the operation in Body: which one is meant?"},
	{[]string{"action=another's", "wrapper="}, "the element names no operation and SOAPAction names another: the original would log in instead of cancelling"},
	{[]string{"header after body"}, "nothing stands behind Body"},
	{[]string{"refuse/header-after-body"}, "nothing stands behind Body"},
	{[]string{"refuse/trailer"}, "nothing stands behind Body"},
	{[]string{"refuse/element-before-body"}, "Envelope holds Header and Body alone"},
	{[]string{"refuse/two-"}, "a Header or Body twice: which one is meant?"},
	{[]string{"refuse/text-"}, "text between elements is a value that has lost its tag"},
	{[]string{"child repeated"}, "a parameter twice: which one is meant?"},
	{[]string{"refuse/parameter-twice"}, "a parameter twice: which one is meant?"},
	{[]string{"refuse/parameter-alias-and-name"}, "a parameter twice: which one is meant?"},
	{[]string{"refuse/parameter-nil"}, "nil and a value, or neither: which one is meant?"},
	{[]string{"refuse/reference-"}, "a reference that leads nowhere, to itself, to two places or beside a value"},
	{[]string{"instruction in a value"}, "a value cut in two is put together differently by different readers"},
	{[]string{"refuse/pi-in-"}, "a value cut in two is put together differently by different readers"},
	{[]string{"refuse/gzip-truncated"}, "the body is cut off"},
	{[]string{"refuse/brotli"}, "the label says that the body is packed in a way that can't be undone here"},
	{[]string{"charset=unknown", "names=own words"}, "a character set that we don't know, over other characters than ASCII"},
	{[]string{"refuse/charset-unknown-bytes"}, "a character set that we don't know, over other characters than ASCII"},
	{[]string{"refuse/charset-utf-7"}, "a character set that hides other characters in ASCII"},
	{[]string{"refuse/charset-hz"}, "a character set that hides other characters in ASCII"},
	{[]string{"refuse/base64-control"}, "a control character behind base64, which no XML could carry"},
	// Not SOAP.
	{[]string{"nonsense namespace"}, "a root element in none of SOAP's namespaces is no envelope"},
	{[]string{"refuse/undeclared-soap-prefix"}, "a root element in none of SOAP's namespaces is no envelope"},
	{[]string{"refuse/namespace-blank-inside"}, "blanks inside a namespace name are normalised by some readers"},
	{[]string{"media=json"}, "no SOAP: the original takes SOAPAction and runs that without parameters"},
	// Asked for by the caller, and not to be had.
	{[]string{"refuse/must-understand"}, "a mandatory header block that is not understood (option: accept.understood)"},
	{[]string{"refuse/namespace-blanks-must-understand"}, "a mandatory header block that is not understood (option: accept.understood)"},
	{[]string{"block=mandatory"}, "a mandatory header block that is not understood (option: accept.understood)"},
	{[]string{"accept/header-"}, "a mandatory header block that is not understood (option: accept.understood)"},
	{[]string{"refuse/wsse-signed"}, "a mandatory header block that is not understood (option: accept.understood)"},
	{[]string{"refuse/wsa-unknown-block"}, "a mandatory header block that is not understood (option: accept.understood)"},
	{[]string{"refuse/wsa-", "-mandatory"}, "an answer that must go elsewhere goes nowhere"},
	// Options.
	{[]string{"block=many"}, "more than 16 header blocks (option: accept.header_blocks)"},
	{[]string{"accept/many-header-blocks"}, "more than 16 header blocks (option: accept.header_blocks)"},
	{[]string{"xml 1.1"}, "XML 1.1 has other characters and line ends (option: accept.xml11)"},
	{[]string{"/xml-1.1"}, "XML 1.1 has other characters and line ends (option: accept.xml11)"},
	{[]string{"wrapper=any"}, "dispatch by SOAPAction alone (option: accept.action_dispatch)"},
	{[]string{"/action-dispatch"}, "dispatch by SOAPAction alone (option: accept.action_dispatch)"},
	// Told apart: a 204 that names what is missing and what came.
	{[]string{"accept/not-by-place"}, "more or fewer children than documented, under other names: place says nothing"},
}

// otherwise is what both serve and differ in, with the reason.
var otherwise = []difference{
	{[]string{"namespace=none"}, "a request without namespace is answered in urn:server; the original takes SOAP's, left over from Body"},
	{[]string{"namespace=blanks"}, "the namespace is answered without the blanks around it"},
	{[]string{"accept/namespace-blanks"}, "the namespace is answered without the blanks around it"},
	{[]string{"namespace=soap's", "envelope="}, "SOAP's namespace is answered in its own spelling"},
	{[]string{"accept/base64-text"}, "the original hands the bytes behind base64 on as they are"},
	{[]string{"accept/base64-none"}, "what says that it is base64 and isn't stays as it is"},
	{[]string{"accept/rpc-encoded"}, "xsd:int over 1e6a is a number to PHP and an IRN to us"},
	{[]string{"accept/undeclared-attributes"}, "xsi:nil without a declaration means nothing"},
}

type difference struct {
	words []string
	why   string
}

// needed are the entries of the lists that excused a probe: one that excuses none is to go.
var needed = map[string]bool{}

func excuse(list []difference, p probe) string {
	for _, d := range list {
		if !slices.ContainsFunc(d.words, func(w string) bool { return !strings.Contains(p.name, w) }) {
			needed[strings.Join(d.words, "+")] = true
			return d.why
		}
	}
	return ""
}

// probe is one request, sent to both as it is.
type probe struct{ name, raw string }

// heard is what became of a probe on one side.
type heard struct {
	status    int
	values    []string // that the operation got; nil when it was not called
	garbled   bool     // it got something, but no token that it could believe
	shape     string   // of the answer
	said      string
	namespace string
}

// Whatever the original serves the bridge serves, with the same values and in an answer of the same shape.
func TestLikeTheOriginal(t *testing.T) {
	orig := startOriginal(t, nusoap.Styles[0])
	r := start(t, func(s *setup) {
		c := &s.Config.Callers[0]
		c.AllTaxpayers, c.Taxpayers = true, nil
		for known := range believed {
			if known != token {
				c.Tokens = append(c.Tokens, "sha256:"+access.HashToken(known))
			}
		}
	})
	count := map[string]int{}
	excused := map[string]int{}
	for _, p := range append(recorded(t), variations()...) {
		theirs, ours := askOriginal(t, orig, p), askBridge(t, r, p)
		verdict, why := compare(p, theirs, ours)
		count[verdict]++
		if why != "" {
			excused[why]++
		}
		if strings.HasPrefix(verdict, "FAIL") {
			t.Errorf("%s: %s\noriginal %+v\nbridge   %+v", verdict, p.name, theirs, ours)
		}
	}
	total := 0
	for _, verdict := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%5d %s", count[verdict], verdict)
		total += count[verdict]
	}
	t.Logf("%5d requests compared", total)
	for _, why := range slices.Sorted(maps.Keys(excused)) {
		t.Logf("%5d on purpose: %s", excused[why], why)
	}
	for _, d := range slices.Concat(onPurpose, otherwise) {
		if words := strings.Join(d.words, "+"); !needed[words] {
			t.Errorf("nothing needs the excuse %q", words)
		}
	}
	if total < 500 {
		t.Errorf("only %d requests were compared", total)
	}
}

// With the original's own WSDL for a saved one, the bridge's answers are the original's to the byte: those of use encoded
// carry types, which soap4r and the Node stacks go by there.
func TestSavedWSDLOfTheOriginal(t *testing.T) {
	for _, style := range []string{"rpc-literal", "rpc-encoded"} {
		orig := startOriginal(t, style)
		res, err := http.Get(orig.URL() + "?wsdl")
		if err != nil {
			t.Fatal(err)
		}
		published, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		contract, err := saved.Contract(published)
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, func(s *setup) { s.Contract, s.Decoder, s.SavedWSDL = contract, soap.NewDecoder(contract), published })
		answer := func(address string) string {
			got, err := askRaw(address, plainCall().raw())
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := strings.Cut(got.body, "<SOAP-ENV:Body>")
			return body
		}
		if diff := cmp.Diff(answer(orig.Address), answer(r.addr)); diff != "" || !strings.Contains(answer(r.addr), "<code") {
			t.Errorf("%s (-original +bridge):\n%s", style, diff)
		}
	}
}

func startOriginal(t *testing.T, style string) *nusoap.Service {
	t.Helper()
	s, err := nusoap.Start("127.0.0.1:0", style)
	if errors.Is(err, nusoap.ErrNotInstalled) && os.Getenv("EINVOICE_BRIDGE_NO_SKIP") != "1" {
		t.Skipf("SKIPPED: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// compare is the verdict on a probe.
func compare(p probe, theirs, ours heard) (verdict, why string) {
	served, serves := theirs.values != nil, ours.values != nil
	switch {
	case !served && !serves:
		return "refused by both", ""
	case !served:
		return "served by the bridge alone", ""
	case theirs.garbled && !serves:
		return "misread by the original, told apart by the bridge", ""
	case theirs.garbled:
		return "misread by the original, read right by the bridge", ""
	case !serves:
		if why := excuse(onPurpose, p); why != "" {
			return "refused on purpose", why
		}
		return "FAIL: served by the original alone", ""
	}
	shape, addressed := strings.CutPrefix(ours.shape, soap11Shape+"/Header/Action/MessageID/RelatesTo")
	if addressed {
		shape = soap11Shape + shape
	}
	verdict = "equal"
	switch {
	case !sameValues(theirs.values, ours.values):
		verdict = "read differently"
	case theirs.shape != shape || theirs.status != ours.status:
		verdict = "answered differently"
	case theirs.namespace != ours.namespace && (theirs.namespace != "" || ours.namespace != "urn:server"):
		verdict = "answered in another namespace"
	case addressed:
		return "equal, but for a header", "WS-Addressing is answered to callers that sent its headers"
	case theirs.namespace != ours.namespace:
		return "equal, but for the answer's namespace", "a prefix that nobody declared is answered in urn:server: WCF and gSOAP can't read an answer without namespace"
	}
	if verdict == "equal" {
		return verdict, ""
	}
	if why := excuse(otherwise, p); why != "" {
		return verdict + " on purpose", why
	}
	return "FAIL: " + verdict, ""
}

const soap11Shape = "Envelope http://schemas.xmlsoap.org/soap/envelope/"

// sameValues compares what NuSOAP hands over, which is ISO-8859-1 with ? for the rest, with text. The token is left out:
// that it was believed says enough. So are arguments beyond those documented, which PHP ignores; one that was left out is
// none.
func sameValues(theirs, ours []string) bool {
	for i := 1; i < len(ours); i++ {
		var a []rune
		if i < len(theirs) {
			for _, b := range []byte(theirs[i]) {
				a = append(a, meant(rune(b)))
			}
		}
		text := trimmed(string(a))
		if i == 3 { // the reason: PHP's xsd:int reads 01 as 1
			if short := strings.TrimLeft(text, "0"); short != "" {
				text = short
			}
		}
		if !slices.EqualFunc([]rune(text), []rune(trimmed(ours[i])), sameRune) {
			return false
		}
	}
	return true
}

// trimmed is a value without the blanks around it: to NuSOAP those between elements belong to the one before.
func trimmed(s string) string { return strings.Trim(s, " \t\r\n\u00a0") }

// meant is a byte of ISO-8859-1 as whoever sends it means it: windows-1252, and nothing where that has a hole.
func meant(b rune) rune {
	if b < 0x7F || b > 0x9F {
		return b
	}
	if r := charmap.Windows1252.DecodeByte(byte(b)); r > 0x9F && r != utf8.RuneError {
		return r
	}
	return ' '
}

func sameRune(theirs, ours rune) bool { return theirs == ours || theirs == '?' && ours > 0x7F }

// believed are the tokens of the probes.
var believed = map[string]bool{token: true, "tok-123": true, "b29cee21": true}

func askOriginal(t *testing.T, s *nusoap.Service, p probe) heard {
	t.Helper()
	got, err := askRaw(s.Address, p.raw)
	if err != nil {
		return heard{said: err.Error()}
	}
	h := heardOf(got)
	if seen := got.header.Get("X-Seen"); seen != "" && got.status == 200 {
		var args []any
		if err := json.Unmarshal([]byte(seen), &args); err != nil {
			t.Fatalf("%s: X-Seen %s: %v", p.name, seen, err)
		}
		h.values = []string{}
		for _, a := range args {
			text, ok := a.(string)
			raw, err := hexadecimal.DecodeString(text)
			if !ok || err != nil {
				h.garbled = true
			}
			h.values = append(h.values, string(raw))
		}
		h.garbled = h.garbled || len(h.values) == 0 || !believed[strings.TrimSpace(h.values[0])]
	}
	return h.login()
}

func askBridge(t *testing.T, r *rig, p probe) heard {
	t.Helper()
	before := len(r.seen())
	got, err := askRaw(r.addr, p.raw)
	if err != nil {
		return heard{said: err.Error()}
	}
	h := heardOf(got)
	if calls := r.seen(); len(calls) > before {
		c := calls[len(calls)-1]
		h.values = []string{"", c.Taxpayer, c.IRN, c.Reason, c.Remarks}
	}
	return h.login()
}

// login is h where a token was asked for: of that only the answer can be compared, since the bridge believes no password
// that comes along.
func (h heard) login() heard {
	if strings.Contains(h.shape, "access_new_tokenResponse") {
		h.values, h.garbled = []string{}, false
	}
	return h
}

// askRaw sends bytes and reads one answer.
func askRaw(address, raw string) (response, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return response{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		return response{}, err
	}
	return readResponse(bufio.NewReader(conn), raw)
}

var wrapper = regexp.MustCompile(`<(?:\w+:)?(\w+Response)(?: xmlns:ns1="([^"]*)")?>`)

// heardOf describes an answer: names, order, types and places of all elements; the words in it are the operation's.
func heardOf(got response) heard {
	h := heard{status: got.status, said: got.said()}
	if m := wrapper.FindStringSubmatch(got.body); m != nil {
		h.namespace = m[2]
	}
	d := xml.NewDecoder(strings.NewReader(got.body))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var names []string
	for {
		tok, err := d.Token()
		if err != nil {
			break
		}
		if e, ok := tok.(xml.StartElement); ok {
			name := e.Name.Local
			for _, a := range e.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					name += " " + a.Name.Local + "=" + a.Value
				}
			}
			if name == "Envelope" {
				name += " " + e.Name.Space
			}
			names = append(names, name)
		}
	}
	h.shape = strings.Join(names, "/")
	return h
}

// recorded are the captures of real stacks, the cases, and the vectors.
func recorded(t *testing.T) (all []probe) {
	t.Helper()
	path := regexp.MustCompile(`^POST /\S+ `)
	for _, pattern := range []string{"captures/*.http", "original/cases/*.http"} {
		files, err := filepath.Glob("../../fixtures/" + pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, probe{"file " + filepath.Base(file), path.ReplaceAllString(string(raw), "POST "+nusoap.Path+" ")})
		}
	}
	for _, folder := range []string{"accept", "refuse"} {
		vs, err := vectors.Read(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range vs {
			head := "POST " + nusoap.Path + " HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\n"
			for name, value := range map[string]string{"Content-Type": v.ContentType, "Content-Encoding": v.ContentEncoding, "SOAPAction": v.SOAPAction} {
				if value != "" {
					head += name + ": " + value + "\r\n"
				}
			}
			all = append(all, probe{"vector " + folder + "/" + v.Name, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(v.Body), v.Body)})
		}
	}
	return all
}
