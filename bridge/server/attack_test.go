package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
)

// What one attack may cost: CPU time of the whole process and bytes allocated, the test's own part included.
const (
	mostCPU    = 50 * time.Millisecond * slower
	mostMemory = 16 << 20
)

// attack is one row: what is posted, and the status and beginning of what must come back. said is a prefix.
type attack struct {
	id, name, body string
	headers        []string
	status         int
	said           string
}

const (
	client  = "SOAP-ENV:Client: "
	invalid = "Failed 204 The access token provided is invalid"
)

// field puts text into the envelope in place of the remarks.
func field(text string) string { return strings.Replace(envelope, "Wrong entry", text, 1) }

// within puts XML into the Body, beside the operation's parameters.
func within(xml string) string {
	return strings.Replace(envelope, "<access_token>", xml+"<access_token>", 1)
}

func before(xml string) string { return xml + envelope }

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func utf16le(s string, mark bool) string {
	var b strings.Builder
	if mark {
		s = "\ufeff" + s
	}
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

// attacks are rows X1 to X13 and X18 of the attack list, with bait as the address that nothing may connect to.
func attacks(bait string) []attack {
	enc := func(s string) []string { return []string{"Content-Encoding: " + s + "\r\n"} }
	typ := func(s string) []string { return []string{"Content-Type: " + s + "\r\n"} }
	lots := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	entity := func(def, use string) string {
		return strings.Replace(before(`<!DOCTYPE e [`+def+`]>`), "Wrong entry", use, 1)
	}
	wsa := func(header string) string {
		return strings.Replace(envelope, "<soapenv:Header/>", `<soapenv:Header xmlns:a="http://www.w3.org/2005/08/addressing">`+header+`</soapenv:Header>`, 1)
	}
	ok := "Success 200 "
	return []attack{
		{"X1", "external entity, file", entity(`<!ENTITY x SYSTEM "file:///etc/hostname">`, "&x;"), nil, 500, client},
		{"X1", "external entity, http", entity(`<!ENTITY x SYSTEM "http://`+bait+`/">`, "&x;"), nil, 500, client},
		{"X1", "parameter entity", entity(`<!ENTITY % x SYSTEM "http://`+bait+`/"> %x;`, ""), nil, 500, client},
		{"X1", "external DTD", before(`<!DOCTYPE e SYSTEM "http://` + bait + `/e.dtd">`), nil, 500, client},
		{"X2", "billion laughs", entity(`<!ENTITY a "lol">`+lots(20, `<!ENTITY b%[1]d "&a;&a;&a;&a;&a;&a;&a;&a;">`), "&b19;"), nil, 500, client},
		{"X2", "quadratic blow-up", entity(`<!ENTITY a "`+strings.Repeat("a", 20_000)+`">`, strings.Repeat("&a;", 10_000)), nil, 500, client},
		{"X2", "an entity that nobody declared", field("&lol;"), nil, 500, client},
		{"X3", "DTD, unused", before("<!DOCTYPE e>"), nil, 500, client},
		{"X3", "DTD in lower case", before("<!doctype e>"), nil, 500, client},
		// Between elements they are skipped, as the original does (Siebel, XSLT and InfoPath send them); inside a value they
		// would cut it in two.
		{"X3", "processing instruction before", before(`<?xml-stylesheet href="http://` + bait + `/"?>`), nil, 200, ok},
		{"X3", "processing instruction between parameters", within("<?php x?>"), nil, 200, ok},
		{"X3", "processing instruction after", envelope + "<?x?>", nil, 200, ok},
		{"X3", "processing instruction inside a value", field("12<?php x?>34"), nil, 500, client},
		{"X3", "XML declaration after white space", before(" <?xml version='1.0'?>"), nil, 500, client},
		{"X3", "XML 1.1", before("<?xml version='1.1'?>"), nil, 500, client},
		{"X4", "40 levels", within(strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40)), nil, 500, client + "Limit max_depth (32) exceeded at byte "},
		{"X4", "20,000 levels", within(strings.Repeat("<a>", 20_000)), nil, 500, client + "Limit max_depth (32) exceeded at byte "},
		{"X4", "1,000,000 levels", within(strings.Repeat("<a>", 1_000_000)), nil, 413, client},
		{"X5", "1,001 elements", within(strings.Repeat("<a/>", 1001)), nil, 500, client + "Limit max_elements (1000) exceeded at byte "},
		{"X5", "33 attributes", within("<a" + lots(33, ` a%d="1"`) + "/>"), nil, 500, client + "Limit max_attributes (32) exceeded at byte "},
		{"X5", "100,000 attributes", within("<a" + lots(100_000, ` a%d="1"`) + "/>"), nil, 413, client},
		{"X5", "5,000 attributes", within("<a" + lots(5000, ` a%d=""`) + "/>"), nil, 500, client + "Limit max_"},
		{"X6", "xmlns flood", within("<a" + lots(33, ` xmlns:p%d="urn:%[1]d"`) + "/>"), nil, 500, client + "Limit max_namespaces (32) exceeded at byte "},
		{"X6", "long name", within("<" + strings.Repeat("n", 60_000) + "/>"), nil, 500, client + "Limit max_name_bytes (256) exceeded at byte "},
		{"X6", "long prefix", within("<" + strings.Repeat("n", 60_000) + ":a/>"), nil, 500, client + "Limit max_name_bytes (256) exceeded at byte "},
		{"X6", "1 MB name", within("<" + strings.Repeat("n", 1<<20) + "/>"), nil, 413, client},
		{"X6", "long attribute value", within(`<a b="` + strings.Repeat("v", 60_000) + `"/>`), nil, 500, client + "Limit max_attribute_bytes (8192) exceeded at byte "},
		{"X6", "10 MB comment", before("<!--" + strings.Repeat("c", 10<<20) + "-->"), nil, 413, client},
		{"X6", "many comments", before(strings.Repeat("<!---->", 101)), nil, 500, client + "Limit max_comments (100) exceeded at byte "},
		{"X6", "long parameter", field(strings.Repeat("r", 1025)), nil, 500, client + "Limit max_param_chars (1024) exceeded at byte "},
		{"X7", "oversized body", envelope + strings.Repeat(" ", 64<<10), nil, 413, client + "Limit max_body_bytes (65536) exceeded at byte 65536"},
		{"X8", "gzip bomb", gzipped(strings.Repeat(" ", 64<<20)), enc("gzip"), 500, client + "Limit max_inflate"},
		{"X8", "gzip in gzip", gzipped(gzipped(envelope)), enc("gzip"), 500, client},
		{"X8", "gzip in gzip, labelled", gzipped(gzipped(envelope)), enc("gzip, gzip"), 415, client},
		{"X8", "truncated gzip", gzipped(envelope)[:100], enc("gzip"), 500, client},
		{"X8", "gzip that isn't", envelope, enc("gzip"), 500, client},
		{"X8", "gzip without label", gzipped(envelope), nil, 500, client},
		{"X8", "brotli", envelope, enc("br"), 415, client},
		{"X9", "value split by a comment", strings.Replace(envelope, gstin, gstin[:4]+"<!-- c -->"+gstin[4:], 1), nil, 200, ok},
		{"X9", "value split by CDATA", strings.Replace(envelope, gstin, gstin[:4]+"<![CDATA["+gstin[4:]+"]]>", 1), nil, 200, ok},
		{"X9", "value split by an instruction", strings.Replace(envelope, gstin, gstin[:4]+"<?x?>"+gstin[4:], 1), nil, 500, client},
		{"X9", "value split by an element", strings.Replace(envelope, gstin, gstin[:4]+"<b/>"+gstin[4:], 1), nil, 500, client},
		{"X9", "value in character references", strings.Replace(envelope, gstin, "&#x30;&#57;"+gstin[2:], 1), nil, 200, ok},
		{"X10", "parameter twice", within("<irn>" + irn + "</irn>"), nil, 500, client},
		{"X10", "attribute twice", strings.Replace(envelope, "<irn>", `<irn a="1" a="2">`, 1), nil, 500, client},
		{"X10", "attribute twice by two prefixes", strings.Replace(envelope, "<irn>", `<irn xmlns:p="u" xmlns:q="u" p:a="1" q:a="2">`, 1), nil, 500, client},
		{"X10", "Body twice", strings.Replace(envelope, "</soapenv:Envelope>", "<soapenv:Body/></soapenv:Envelope>", 1), nil, 500, client},
		{"X10", "element after Body", strings.Replace(envelope, "</soapenv:Envelope>", "<x/></soapenv:Envelope>", 1), nil, 500, client},
		{"X10", "Header after Body", strings.Replace(envelope, "</soapenv:Envelope>", "<soapenv:Header/></soapenv:Envelope>", 1), nil, 500, client},
		{"X10", "a second root", envelope + "<x/>", nil, 500, client},
		{"X10", "text after the root", envelope + "x", nil, 500, client},
		{"X11", "wrapper in a foreign namespace", strings.Replace(envelope, `"urn:server"`, `"urn:other"`, 1), nil, 200, ok}, // .NET's tempuri.org; it changes who calls in nothing
		{"X11", "SOAPAction twice, of another operation", envelope, []string{"soapAction: x\r\n"}, 200, ok},                  // Delphi sends it twice; it decides nothing
		{"X11", "unknown operation", strings.ReplaceAll(envelope, "eInvoiceCancel", "nosuch"), nil, 500, client + "Operation 'nosuch' is not defined in the WSDL for this service"},
		{"X11", "no such envelope", strings.Replace(envelope, "/soap/envelope/", "/soap/envelop/", 1), nil, 500, "SOAP-ENV:VersionMismatch: "},
		{"X12", "SOAP 1.2 in text/xml", strings.Replace(envelope, "http://schemas.xmlsoap.org/soap/envelope/", soap12, 1), nil, 200, ok},
		{"X12", "SOAP 1.1 in application/soap+xml", envelope, typ("application/soap+xml"), 200, ok},
		{"X13", "ReplyTo elsewhere", wsa(`<a:MessageID>1</a:MessageID><a:ReplyTo><a:Address>http://` + bait + `/</a:Address></a:ReplyTo>`), nil, 200, ok}, // ESBs; the answer goes back where the call came from
		{"X13", "ReplyTo elsewhere, mandatory", wsa(`<a:MessageID>1</a:MessageID><a:ReplyTo soapenv:mustUnderstand="1"><a:Address>http://` + bait + `/</a:Address></a:ReplyTo>`), nil, 500, client},
		{"X13", "FaultTo elsewhere", wsa(`<a:MessageID>1</a:MessageID><a:FaultTo><a:Address>http://` + bait + `/</a:Address></a:FaultTo>`), nil, 200, ok},
		{"X13", "FaultTo elsewhere, mandatory", wsa(`<a:MessageID>1</a:MessageID><a:FaultTo soapenv:mustUnderstand="1"><a:Address>http://` + bait + `/</a:Address></a:FaultTo>`), nil, 500, client},
		{"X13", "schemaLocation", strings.Replace(envelope, "<irn>", `<irn xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="u http://`+bait+`/">`, 1), nil, 200, ok},
		{"X13", "xop:Include", strings.Replace(envelope, irn, `<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="http://`+bait+`/"/>`, 1), nil, 500, client},
		{"X13", "href to an address", strings.Replace(envelope, "<irn>"+irn, `<irn href="http://`+bait+`/">`, 1), nil, 500, client},
		{"X18", "UTF-7", "+ADw-" + envelope, typ("text/xml; charset=utf-7"), 500, client},
		// A label that plain ASCII can't be meant by is a slip, and leaves one reading.
		{"X18", "UTF-32 over ASCII", envelope, typ("text/xml; charset=utf-32"), 200, ok},
		{"X18", "EBCDIC over ASCII", envelope, typ("text/xml; charset=ibm037"), 200, ok},
		{"X18", "EBCDIC over UTF-8", field("\u00e9"), typ("text/xml; charset=ibm037"), 500, client},
		{"X18", "HZ", field("~{<:Ky2;~}"), typ("text/xml; charset=hz-gb-2312"), 500, client},
		{"X18", "UTF-16 with mark", utf16le(envelope, true), typ("text/xml"), 200, ok},
		{"X18", "UTF-16 without mark, labelled", utf16le(envelope, false), typ("text/xml; charset=utf-16"), 200, ok},
		{"X18", "mark against header", utf16le(envelope, true), typ("text/xml; charset=iso-8859-1"), 200, ok},
		{"X18", "header against declaration", before("<?xml version='1.0' encoding='utf-16'?>"), nil, 200, ok},
		{"X18", "invalid UTF-8", field("\xe9\xff"), nil, 500, client},
		{"X18", "overlong form of <", field("\xc0\xbc"), nil, 500, client},
		{"X18", "surrogate in UTF-8", field("\xed\xa0\x80"), nil, 500, client},
		{"X18", "surrogate by reference", field("&#xD800;"), nil, 500, client},
		{"X18", "NUL", field("\x00"), nil, 500, client},
		{"X18", "NUL by reference", field("&#0;"), nil, 500, client},
		{"", "empty body", "", nil, 500, client},
		{"", "no XML", "hello", nil, 500, client},
		{"", "JSON", `{"irn":"x"}`, typ("application/json"), 415, client},
		{"", "media type of nothing known", envelope, typ("text/html"), 415, client},
		{"", "unclosed", envelope[:200], nil, 500, client},
		{"", "a nobody's token at the end of it all", strings.Replace(envelope, token, "x", 1), nil, 200, invalid},
	}
}

// Every attack is answered as it must be, costs next to nothing, opens no connection, and leaves a server that works.
func TestAttacks(t *testing.T) {
	bait, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer bait.Close()
	var bitten atomic.Int32
	go func() {
		for {
			conn, err := bait.Accept()
			if err != nil {
				return
			}
			bitten.Add(1)
			conn.Close()
		}
	}()
	r := start(t)
	r.post(envelope).expect(t, "warm-up", 200, "Success 200 ")
	for _, a := range attacks(bait.Addr().String()) {
		t.Run(a.id+" "+a.name, func(t *testing.T) {
			bytes := request("/einvoice", a.body, a.headers...)
			cpu, memory := cost(func() {
				got, err := r.try(bytes)
				if err != nil {
					t.Error(err)
					return
				}
				if got.status != a.status || !strings.HasPrefix(got.said(), a.said) {
					t.Errorf("%d %s, want %d %s", got.status, got.said(), a.status, a.said)
				}
				got.wellFormed(t)
				if got.status == 200 && a.id == "X12" && strings.Contains(got.body, soap12) { // who says text/xml reads text/xml
					t.Errorf("answered in the other SOAP version: %s", got.body)
				}
			})
			if cpu > mostCPU || memory > mostMemory {
				t.Errorf("cost %v of CPU and %d KiB", cpu, memory>>10)
			}
			r.post(envelope).expect(t, "the next call", 200, "Success 200 ")
		})
	}
	if n := bitten.Load(); n != 0 {
		t.Errorf("%d connections to an address that stood in a request", n)
	}
	for _, c := range r.seen() {
		if c.Taxpayer != gstin || c.IRN != irn {
			t.Errorf("the Service was asked to cancel %q of %q", c.IRN, c.Taxpayer)
		}
	}
}

// cost measures what the process spends on f.
func cost(f func()) (cpu time.Duration, memory uint64) {
	runtime.GC()
	var m0, m1 runtime.MemStats
	var u0, u1 syscall.Rusage
	runtime.ReadMemStats(&m0)
	syscall.Getrusage(syscall.RUSAGE_SELF, &u0)
	f()
	syscall.Getrusage(syscall.RUSAGE_SELF, &u1)
	runtime.ReadMemStats(&m1)
	spent := func(a, b syscall.Timeval) time.Duration { return time.Duration(b.Nano() - a.Nano()) }
	return spent(u0.Utime, u1.Utime) + spent(u0.Stime, u1.Stime), m1.TotalAlloc - m0.TotalAlloc
}

// X7 in chunks: nothing says how much will come.
func TestOversizedChunks(t *testing.T) {
	r := start(t)
	body := chunks(envelope+strings.Repeat(" ", 1<<20), 8<<10)
	got, err := r.try("POST /einvoice HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
	if err != nil {
		return // lost to the reset that ends such a request
	}
	got.expect(t, "answer", 413, client+"Limit max_body_bytes (65536) exceeded at byte 65536")
}

// X15: what an upstream says is text, whatever it looks like.
func TestUpstreamTextIsEscaped(t *testing.T) {
	r := start(t)
	const nasty = "2143: </errorMessage><status>Success</status><code>200</code> ]]> \x00\x08\x1b[31m\r\n\ufffe é ₹ \U0001F600 \xff &amp;"
	r.answer = func(bridge.Request) bridge.Answer { return bridge.Answer{Class: bridge.Refused, Message: nasty} }
	for _, version := range []string{"http://schemas.xmlsoap.org/soap/envelope/", soap12} {
		got := r.post(strings.Replace(envelope, "http://schemas.xmlsoap.org/soap/envelope/", version, 1))
		got.wellFormed(t)
		if strings.Count(got.body, "<code>") != 1 || got.part("code") != "204" || got.part("status") != "Failed" {
			t.Errorf("got %s", got.body)
		}
		message := got.part("errorMessage")
		if !strings.HasPrefix(message, "2143: </errorMessage><status>Success</status><code>200</code> ]]>") ||
			!strings.HasSuffix(message, "é ₹ \U0001F600 &amp;") && !strings.Contains(message, "é ₹ \U0001F600 ") ||
			strings.ContainsAny(message, "\x00\x08\x1b\r\n") {
			t.Errorf("errorMessage %q", message)
		}
	}
}

// X16: what a caller sends reaches the Service as it stands, for the upstream's rules to judge.
func TestFieldsAreNotInterpreted(t *testing.T) {
	r := start(t)
	for sent, want := range map[string]string{
		`&quot;}\"../%00`:        `"}\"../%00`,
		"a&#13;&#10;X-Evil: 1":   "a\r\nX-Evil: 1",
		"' OR 1=1 --":            "' OR 1=1 --",
		"${ENV} {{.}} &lt;b&gt;": "${ENV} {{.}} <b>",
	} {
		r.post(field(sent)).expect(t, sent, 200, "Success 200 ")
		calls := r.seen()
		if got := calls[len(calls)-1].Remarks; got != want {
			t.Errorf("remarks %q, want %q", got, want)
		}
	}
}

// X17: whatever is sent, the log stays one JSON object per line.
func TestLogInjection(t *testing.T) {
	r := start(t)
	const evil = "x&#13;&#10;{&quot;level&quot;:&quot;INFO&quot;}&#x85;&#x9b;31m"
	r.post(strings.NewReplacer(gstin, evil+gstin).Replace(envelope))
	r.post(strings.ReplaceAll(envelope, "eInvoiceCancel", "nosuch\u2028op"))
	r.raw("GET /%0d%0a%7b%1b HTTP/1.1\r\nHost: bridge\r\n\r\n")
	r.raw("EVIL\x1b /einvoice HTTP/1.1\r\nHost: bridge\r\n\r\n")
	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	if len(lines) != 4 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["msg"] != "request refused" {
			t.Errorf("%v in %q", err, line)
		}
		if strings.ContainsAny(line, "\x1b\r\u0085\u2028") {
			t.Errorf("control characters in %q", line)
		}
	}
}

// X20: what strangers can ask for tells nothing of the inside.
func TestNothingIsDisclosed(t *testing.T) {
	r := start(t)
	for _, target := range []string{"/", "/einvoice", "/einvoice?wsdl", "/wsdl/rpc-encoded.wsdl", "/nowhere", "/metrics", "/healthz",
		"/debug/pprof/", "/console", "/einvoice/../etc/passwd", "/wsdl/..%2f..%2fgo.mod.wsdl", "/einvoice?wsdl&flavour=../x", "/.git/config"} {
		got := r.get(target)
		for _, secret := range []string{"fasthttp", "fiber", "Fiber", "goroutine", ".go:", r.addr, "evil.example", "nowhere"} {
			if strings.Contains(got.body, secret) {
				t.Errorf("%s: %q in %.300s", target, secret, got.body)
			}
		}
		served := strings.HasPrefix(target, "/einvoice") && !strings.Contains(target, "..") || target == "/wsdl/rpc-encoded.wsdl" || target == "/healthz"
		if (got.status == 200) != served {
			t.Errorf("%s: %d", target, got.status)
		}
		if got.status != 200 {
			got.wellFormed(t)
		}
	}
}

// X22: ten thousand callers that hold a connection open between their calls cost little, none of them is cut off, and other
// calls don't notice.
func TestIdleConnections(t *testing.T) {
	n := 10_000
	if slower > 1 {
		n = 500
	}
	var old, limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	need := uint64(2*n + 500) // both ends are in this process
	for _, limit = range []syscall.Rlimit{{Cur: need, Max: max(need, old.Max)}, {Cur: old.Max, Max: old.Max}} {
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) == nil { // the first takes root
			break
		}
	}
	n = min(n, int(limit.Cur-500)/2)
	r := start(t)
	runtime.GC()
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	for range n {
		conn, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		callOver(t, "the call before", conn)
	}
	runtime.GC()
	runtime.ReadMemStats(&m1)
	if each := (m1.Sys - m0.Sys) / uint64(n); each > 20<<10 { // with this end of it, and what the test keeps of its call
		t.Errorf("each of %d idle connections costs %d bytes", n, each)
	}
	for range 50 {
		start := time.Now()
		r.post(envelope).expect(t, "call", 200, "Success 200 ")
		if took := time.Since(start); took > 500*time.Millisecond {
			t.Errorf("a call took %v beside %d idle connections", took, n)
		}
	}
	if c := r.srv.Crowd(); c.Callers < n {
		t.Errorf("of %d idle connections %d are left", n, c.Callers)
	}
}

// X24 once more, with tokens that are both good: no call for another's taxpayer gets through.
func TestTenantsAreApart(t *testing.T) {
	const mine, theirs = "27AABCU9603R1ZM", "29AAFCD5862R000"
	r := start(t, func(s *setup) {
		s.Config.Callers = []access.CallerConfig{
			{Name: "a", Tokens: []string{"sha256:" + access.HashToken("token-a")}, Taxpayers: []string{mine}},
			{Name: "b", Tokens: []string{"sha256:" + access.HashToken("token-b")}, Taxpayers: []string{theirs}},
		}
	})
	for _, tc := range []struct{ token, taxpayer, said string }{
		{"token-a", mine, "Success 200 "}, {"token-b", theirs, "Success 200 "},
		{"token-a", theirs, "Failed 204 The access token provided is not valid for this user_gstin"},
		{"token-b", mine, "Failed 204 The access token provided is not valid for this user_gstin"},
	} {
		r.post(strings.NewReplacer(token, tc.token, gstin, tc.taxpayer).Replace(envelope)).expect(t, tc.token+" for "+tc.taxpayer, 200, tc.said)
	}
	if n := len(r.seen()); n != 2 {
		t.Errorf("%d calls reached the Service", n)
	}
	if got := r.refusals(); len(got) != 2 || got[0] != server.RefusedTaxpayer || got[1] != server.RefusedTaxpayer {
		t.Errorf("counted %v", got)
	}
}
