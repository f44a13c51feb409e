package soap_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"einvoice-bridge/bridge/soap"
)

// xmllint returns libxml2's command, the second opinion on what XML is. Without it the test is skipped, or fails where
// EINVOICE_BRIDGE_NO_SKIP=1 says that it must run.
func xmllint(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("xmllint")
	if err == nil {
		return path
	}
	if os.Getenv("EINVOICE_BRIDGE_NO_SKIP") == "1" {
		t.Fatal("xmllint is not installed and EINVOICE_BRIDGE_NO_SKIP=1 forbids to skip; install libxml2-utils")
	}
	t.Skip("SKIPPED: xmllint is not installed (Debian package libxml2-utils), libxml2's opinion was not asked")
	return ""
}

// corpus lists the documents of all captures and accepted vectors as transcoded, without XML declaration: its encoding
// would be wrong now.
func corpus(t *testing.T) map[string]*soap.Request {
	t.Helper()
	all := map[string]*soap.Request{}
	for _, path := range capturePaths(t) {
		h, body := readCapture(t, path)
		req, err := soap.NewDecoder(soap.DefaultContract()).Decode(h, body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[filepath.Base(path)] = req
	}
	for _, v := range readVectors(t, "accept") {
		req, err := v.dec.Decode(v.header, v.body)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		all[v.name] = req
	}
	return all
}

func withoutDeclaration(doc []byte) []byte {
	if bytes.HasPrefix(doc, []byte("<?xml ")) {
		_, doc, _ = bytes.Cut(doc, []byte("?>"))
	}
	return doc
}

// What we accept libxml2 accepts, and both read the same values.
func TestSameReadingAsLibxml2(t *testing.T) {
	lint := xmllint(t)
	const separator = "|~|"
	checked := 0
	for name, req := range corpus(t) {
		switch {
		case strings.HasPrefix(name, "multi-ref"), strings.HasPrefix(name, "bare-"), name == "nil-draft", name == "action-dispatch-qualified", name == "letter-case", name == "token-call-aliases",
			name == "by-place-reference", name == "reason-zeros", strings.HasPrefix(name, "remarks-c1"), strings.HasPrefix(name, "base64-"):
			continue // what these read is not the text of the one element of that name
		}
		var terms []string
		for i, p := range req.Params {
			which := fmt.Sprintf("local-name()='%s' or substring-after(name(), ':')='%[1]s'", p.Slot) // libxml2 keeps an undeclared prefix in the name
			if strings.HasPrefix(name, "by-place") {
				which = strconv.Itoa(i + 1)
			}
			terms = append(terms, fmt.Sprintf("string(//*[local-name()='Body']/*/*[%s]), '%s'", which, separator))
		}
		cmd := exec.Command(lint, "--nonet", "--xpath", "concat("+strings.Join(terms, ", ")+")", "-")
		cmd.Stdin = bytes.NewReader(withoutDeclaration(req.Doc()))
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: libxml2 refuses what we accept: %v", name, err)
			continue
		}
		theirs := strings.Split(string(out), separator)
		for i, p := range req.Params {
			if got := strings.Trim(theirs[i], " \t\r\n"); got != p.Text {
				t.Errorf("%s: %s is %q to us and %q to libxml2", name, p.Slot, p.Text, got)
			}
			checked++
		}
	}
	if checked < 500 {
		t.Errorf("only %d values were compared", checked)
	}
}

// Thousands of damaged documents: whatever of them still passes our scanner passes libxml2 too.
func TestNothingAcceptedThatLibxml2Refuses(t *testing.T) {
	lint := xmllint(t)
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	var seeds [][]byte
	for _, req := range corpus(t) {
		seeds = append(seeds, withoutDeclaration(req.Doc()))
	}
	var accepted []string
	for i := range 6000 {
		doc := damage(rnd, seeds[i%len(seeds)])
		if soap.WellFormed(doc) != nil {
			continue
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(path, doc, 0o644); err != nil {
			t.Fatal(err)
		}
		accepted = append(accepted, path)
	}
	if len(accepted) < 300 {
		t.Fatalf("only %d damaged documents were accepted, the damage is too great to tell anything", len(accepted))
	}
	for len(accepted) > 0 {
		n := min(500, len(accepted))
		out, err := exec.Command(lint, append([]string{"--noout", "--nonet"}, accepted[:n]...)...).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// a namespace name that is no URI is none of a parser's business, and a prefix that nobody declared is no error to us
			if strings.Contains(line, " error : ") && !strings.Contains(line, "is not a valid URI") && !undeclaredPrefix.MatchString(line) {
				t.Errorf("libxml2 refuses what we accept: %s", line)
			}
		}
		if err != nil {
			t.Fatalf("libxml2 refuses what we accept: %v", err)
		}
		accepted = accepted[n:]
	}
}

var undeclaredPrefix = regexp.MustCompile(`namespace error : Namespace prefix \S+ .*is not defined`)

// pieces are what damage inserts: everything that means something to an XML parser.
var pieces = strings.Split(`<|>|/>|</|&|;|&#|&#x|&#65;|&lt;|"|'|=| |:|xmlns|xmlns:a="u"|xml:|xmlns=""|a:|<a>|</a>|<a/>|<!--|-->|--|<![CDATA[|]]>|]]|<?|?>|<!|-|a="1"|a:b|0|.|é|`+"\u0301|\u00B7|\u2028|\t|\n|\r|\x7f|\uFFFD", "|")

// damage changes a document in one or two places.
func damage(rnd *rand.Rand, doc []byte) []byte {
	doc = bytes.Clone(doc)
	for range 1 + rnd.IntN(2) {
		at := rnd.IntN(len(doc))
		piece := pieces[rnd.IntN(len(pieces))]
		switch rnd.IntN(4) {
		case 0: // insert
			doc = append(doc[:at:at], append([]byte(piece), doc[at:]...)...)
		case 1: // overwrite
			doc = append(doc[:at:at], append([]byte(piece), doc[min(len(doc), at+len(piece)):]...)...)
		case 2: // delete
			doc = append(doc[:at:at], doc[min(len(doc), at+1+rnd.IntN(6)):]...)
		case 3: // repeat a stretch
			end := min(len(doc), at+1+rnd.IntN(40))
			doc = append(doc[:end:end], append(bytes.Clone(doc[at:end]), doc[end:]...)...)
		}
		if len(doc) == 0 {
			return []byte("<a/>")
		}
	}
	return doc
}

// The bodies of our answers are valid by the schema that describes them.
func TestRepliesMatchSchema(t *testing.T) {
	lint := xmllint(t)
	dir := t.TempDir()
	for _, g := range goldens() {
		switch g.name {
		case "cancel-wrapper", "cancel-qualified", "cancel-constant-part":
			continue // configured to be something else than the schema says
		}
		body := content(g.make(soap.DefaultContract()))
		if body == nil {
			continue
		}
		path := filepath.Join(dir, g.name+".xml")
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(lint, "--noout", "--nonet", "--schema", "../../schemas/soap/server.xsd", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", g.name, err, out)
		}
	}
}

// content cuts the application's element out of an envelope; nil for a fault without typed detail.
func content(envelope []byte) []byte {
	s := string(envelope)
	for _, name := range []string{"ns1:eInvoiceCancelResponse", "ns1:access_new_tokenResponse", "f:bridgeFault"} {
		if from := strings.Index(s, "<"+name); from >= 0 {
			return []byte(s[from : strings.Index(s, "</"+name)+len("</"+name+">")])
		}
	}
	return nil
}

// Our own requests are valid by it too, once the wrapper stands alone.
func TestRequestsMatchSchema(t *testing.T) {
	lint := xmllint(t)
	c := soap.DefaultContract()
	dir := t.TempDir()
	for _, op := range []*soap.Operation{&c.Cancel, &c.Token} {
		values := map[string]string{}
		for _, p := range op.Request {
			values[p.Slot] = "x & y"
		}
		s := string(c.EncodeRequest(soap.SOAP11, op, values))
		from, to := strings.Index(s, "<urn:"+op.Name), strings.Index(s, "</soapenv:Body>")
		body := strings.Replace(s[from:to], ">", ` xmlns:urn="urn:server">`, 1)
		path := filepath.Join(dir, op.Name+".xml")
		if err := os.WriteFile(path, []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(lint, "--noout", "--nonet", "--schema", "../../schemas/soap/server.xsd", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", op.Name, err, out)
		}
	}
}
