package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

// Every recorded client, byte for byte over a socket of its own; only the path is another one.
func TestCaptures(t *testing.T) {
	files, err := filepath.Glob("../../fixtures/captures/*.http")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	r := start(t, func(s *setup) {
		s.Config.Callers[0].Tokens = append(s.Config.Callers[0].Tokens, "sha256:"+access.HashToken("tok-123"))
	})
	path := regexp.MustCompile(`^POST /\S+ `)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			captured, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := r.raw(string(path.ReplaceAll(captured, []byte("POST /api.einvoice.php "))))
			got.expect(t, "answer", 200, "Success 200 ")
			if is12, want := strings.Contains(got.body, soap12), strings.HasSuffix(name, "-doc12") || name == "gsoap-doc"; is12 != want {
				t.Errorf("answered as SOAP 1.2: %v, want %v", is12, want)
			}
			calls := r.seen()
			want := bridge.Request{
				Caller: "sap", Taxpayer: "09AAAPG7885R002", Reason: "1", Remarks: capturedRemarks(name),
				IRN: "a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229",
			}
			if diff := cmp.Diff(want, calls[len(calls)-1], cmpopts.IgnoreFields(bridge.Request{}, "Ref", "Received", "Until", "SOAPIn", "Render", "Carried")); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
			if got.part("Irn") != want.IRN {
				t.Errorf("Irn %q", got.part("Irn"))
			}
		})
	}
}

// Every case of a stack or a published sample that was refused or misread once, and of some that never were.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("../../fixtures/original/cases/*.http")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	r := start(t, func(s *setup) {
		s.Config.Callers[0].Tokens = append(s.Config.Callers[0].Tokens, "sha256:"+access.HashToken("tok-123"))
	})
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before := len(r.seen())
			got := r.raw(string(raw))
			got.expect(t, "answer", 200, "Success 200 ")
			calls := r.seen()
			if len(calls) != before+1 {
				t.Fatalf("%d calls reached the Service", len(calls)-before)
			}
			c, remarks := calls[before], "Wrong entry"
			switch name {
			case "A09-latin1-header-over-declared-utf-8":
				remarks = "café ₹ 100"
			case "wcf-tempuri":
				remarks = "x"
			}
			if c.Taxpayer != gstin || (c.IRN != irn && !strings.HasPrefix(c.IRN, "a5c12dca80e7")) || c.Reason != "1" || c.Remarks != remarks {
				t.Errorf("heard %s %s %s %q, want remarks %q", c.Taxpayer, c.IRN, c.Reason, c.Remarks, remarks)
			}
			for in, want := range map[string]string{"wcf-tempuri": "http://tempuri.org/", "nusoap-nowsdl-nons": "http://tempuri.org"} {
				if name == in && !strings.Contains(got.body, `xmlns:ns1="`+want+`"`) {
					t.Errorf("answered in another namespace: %s", got.body)
				}
			}
		})
	}
}

func capturedRemarks(name string) string {
	switch {
	case strings.HasSuffix(name, ".NULL"):
		return ""
	case strings.HasPrefix(name, "nusoap-"): // its Latin-1 has no rupee sign
		return "Wrong entry <&> \"q\" é ?"
	}
	return "Wrong entry <&> \"q\" é ₹"
}

// X21: framing that two parties could read differently. The statuses are what was measured to be safe; 0 stands for
// any answer but success, or none.
func TestFraming(t *testing.T) {
	quick := func(s *setup) { s.ReadTimeout = 300 * time.Millisecond }
	r := start(t, quick)
	head := func(lines ...string) string {
		return "POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	length := "Content-Length: " + strconv.Itoa(len(envelope))
	chunked := hex(len(envelope)) + "\r\n" + envelope + "\r\n0\r\n\r\n"
	for _, tc := range []struct {
		name, request string
		status        int
	}{
		{"two different Content-Length", head(length, "Content-Length: 5") + envelope, 400},
		{"the same Content-Length twice", head(length, length) + envelope, 400},
		{"Transfer-Encoding twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + chunked, 400},
		{"Transfer-Encoding xchunked", head("Transfer-Encoding: xchunked") + chunked, 400},
		{"Transfer-Encoding gzip, chunked", head("Transfer-Encoding: gzip, chunked") + chunked, 400},
		{"Content-Length and chunked", head(length, "Transfer-Encoding: chunked") + chunked, 400},
		{"chunked and Content-Length", head("Transfer-Encoding: chunked", "Content-Length: 5") + chunked, 400},
		{"HTTP/1.0 with Transfer-Encoding", strings.Replace(head("Transfer-Encoding: chunked"), "1.1", "1.0", 1) + chunked, 400},
		{"no Host", strings.Replace(head(length), "Host: bridge\r\n", "", 1) + envelope, 400},
		{"two Hosts", head("Host: other", length) + envelope, 400},
		{"bare LF header lines", strings.ReplaceAll(head(length), "\r\n", "\n") + envelope, 400},
		{"one bare LF among others", head("X-One: 1\nX-Two: 2", length) + envelope, 400},
		{"bare LF before all", "\n" + head(length) + envelope, 400},
		{"NUL in a header value", head("X-Nul: a\x00b", length) + envelope, 400},
		{"chunk extension with bare LF", head("Transfer-Encoding: chunked") + strings.Replace(chunked, "\r\n", ";x\n", 1), 400},
		{"Content-Length -1", head("Content-Length: -1") + envelope, 400},
		{"Content-Length +5", head("Content-Length: +5") + envelope, 400},
		{"Content-Length 2^64+5", head("Content-Length: 18446744073709551621") + envelope, 400},
		{"Content-Length list", head("Content-Length: 5, 5") + envelope, 400},
		{"space before the colon", head("Content-Length : 5") + envelope, 400},
		{"HTTP/9.9", strings.Replace(head(length), "HTTP/1.1", "HTTP/9.9", 1) + envelope, 505},
		{"HTTP/2.0", strings.Replace(head(length), "HTTP/1.1", "HTTP/2.0", 1) + envelope, 505},
		{"no HTTP version", strings.Replace(head(length), " HTTP/1.1", "", 1) + envelope, 0},
		{"folded header", head("X-Folded: a\r\n b", length) + envelope, 400},
		{"folded first header", "POST /einvoice HTTP/1.1\r\n Host: bridge\r\n" + length + "\r\n\r\n" + envelope, 400},
		{"Expect: 200-ok", head("Expect: 200-ok", length) + envelope, 417},
		{"Content-Encoding twice", head("Content-Encoding: gzip", "Content-Encoding: gzip", length) + envelope, 400},
		{"Authorization twice", head("Authorization: Basic YTph", "Authorization: Basic YTpi", length) + envelope, 400},
		{"header above the limit", head("X-Big: "+strings.Repeat("a", 17<<10), length) + envelope, 431},
		{"TLS on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 512), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := r.dial()
			defer conn.Close()
			// Another request right behind it: if it is answered, the two parties disagree on where the first ended.
			io.WriteString(conn, tc.request+request("/einvoice", envelope))
			in := bufio.NewReader(conn)
			got, err := readResponse(in, "POST")
			if err != nil && tc.status != 0 {
				t.Fatal(err)
			}
			if got.status/100 == 2 || tc.status != 0 && got.status != tc.status {
				t.Errorf("status %d, want %d: %s", got.status, tc.status, got.body)
			}
			if err == nil {
				got.wellFormed(t)
			}
			if second, err := readResponse(in, "POST"); err == nil {
				t.Errorf("the connection went on and answered %d", second.status)
			}
		})
	}
	if n := len(r.seen()); n != 0 {
		t.Errorf("%d smuggled calls reached the Service", n)
	}
	r.post(envelope).expect(t, "a normal call after all that", 200, "Success 200 ")
}

func hex(n int) string { return strconv.FormatInt(int64(n), 16) }

// What clients do that is odd and right.
func TestHTTPAsClientsSpeakIt(t *testing.T) {
	r := start(t)
	length := "Content-Length: " + strconv.Itoa(len(envelope)) + "\r\n"
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	io.WriteString(w, envelope)
	w.Close()
	for name, req := range map[string]string{
		"HTTP/1.0":                         "POST /einvoice HTTP/1.0\r\nHost: bridge\r\nContent-Type: text/xml\r\n" + length + "\r\n" + envelope,
		"HTTP/1.0 without Host":            "POST /einvoice HTTP/1.0\r\nContent-Type: text/xml\r\n" + length + "\r\n" + envelope,
		"chunked in small pieces":          "POST /einvoice HTTP/1.1\r\nHost: bridge\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(envelope, 7),
		"gzip":                             request("/einvoice", gz.String(), "Content-Encoding: gzip\r\n"),
		"x-gzip":                           request("/einvoice", gz.String(), "content-encoding: x-gzip\r\n"),
		"no media type":                    "POST /einvoice HTTP/1.1\r\nHost: bridge\r\n" + length + "\r\n" + envelope,
		"no SOAPAction, odd letter case":   "POST /einvoice HTTP/1.1\r\nhOST: bridge\r\ncontent-TYPE: TEXT/XML;CHARSET=\"UTF-8\"\r\n" + length + "\r\n" + envelope,
		"Connection: TE, close":            request("/einvoice", envelope, "TE: deflate,gzip;q=0.3\r\nConnection: TE, close\r\n"),
		"Content-Type twice":               request("/einvoice", envelope, "Content-Type: text/xml\r\ncontent-type: text/xml; charset=utf-8\r\n"),
		"Content-Type twice, one foreign":  request("/einvoice", envelope, "Content-Type: text/xml\r\nContent-Type: application/x-www-form-urlencoded\r\n"),
		"SOAPAction twice":                 request("/einvoice", envelope, "SoapAction: \"\"\r\n"),
		"two slashes":                      request("//api.einvoice.php", envelope),
		"an absolute request target":       strings.Replace(request("/einvoice", envelope), "POST /", "POST http://bridge/", 1),
		"Authorization of another scheme":  request("/einvoice", envelope, "Authorization: Negotiate YII"+strings.Repeat("A", 12<<10)+"\r\n"),
		"an unquoted, foreign SOAPAction":  strings.Replace(request("/einvoice", envelope), `"urn:server#eInvoiceCancel"`, "urn:other#access_new_token", 1),
		"empty lines before the next call": "\r\n" + request("/einvoice", envelope),
	} {
		r.raw(req).expect(t, name, 200, "Success 200 ")
	}
}

func chunks(body string, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		b.WriteString(hex(n) + "\r\n" + body[:n] + "\r\n")
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

// What a caller hears while he is still sending he can read, in plain HTTP and in TLS: the connection is not reset under
// his hands. Without that some runs in three lose the fault.
func TestTooLargeIsAnswered(t *testing.T) {
	r := start(t)
	for range 20 {
		conn := r.dial()
		post := "POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\nContent-Length: 2097152\r\n\r\n"
		if _, err := io.WriteString(conn, post+strings.Repeat(" ", 2<<20)); err != nil {
			t.Fatalf("while sending: %v", err)
		}
		time.Sleep(10 * time.Millisecond) // a reset has time to arrive and take the answer along
		got, err := readResponse(bufio.NewReader(conn), "POST")
		if err != nil {
			t.Fatalf("the answer: %v", err)
		}
		got.expect(t, "2 MB", 413, "SOAP-ENV:Client: Limit max_body_bytes (65536) exceeded at byte 65536")
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection went on: %v", err)
		}
		conn.Close()
	}
	a := newAuthority(t)
	secure, _ := startTLS(t, a, func(*server.TLS) {})
	for range 5 {
		got, err := secure.send(&tls.Config{RootCAs: a.pool, ServerName: "bridge.example"}, envelope+strings.Repeat(" ", 2<<20))
		if err != nil || got.status != 413 {
			t.Fatalf("2 MB over TLS: %v %d", err, got.status)
		}
	}
	chunk := "8000\r\n" + strings.Repeat(" ", 0x8000) + "\r\n"
	got, err := r.try("POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 64) + "0\r\n\r\n")
	if err != nil || got.status != 413 {
		t.Errorf("2 MB in chunks: %v %d", err, got.status)
	}
}

// Header lines that end in LF alone are answered at once, not after the time to read has gone by.
func TestBareLFIsAnsweredAtOnce(t *testing.T) {
	r := start(t)
	began := time.Now()
	got := r.raw(strings.ReplaceAll("POST /einvoice HTTP/1.1\r\nHost: bridge\r\nContent-Length: "+strconv.Itoa(len(envelope))+"\r\n\r\n", "\r\n", "\n") + envelope)
	got.expect(t, "bare LF", 400, "SOAP-ENV:Client: The HTTP request is malformed: a line of its header ends in LF alone; HTTP wants CR LF")
	if took := time.Since(began); took > time.Second {
		t.Errorf("answered after %v", took)
	}
	r.raw("POST /einvoice HTTP/1.1\r\nHost: bridge\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n").
		expect(t, "folded", 400, "SOAP-ENV:Client: The HTTP request is malformed")
	// In a body it is nobody's business, nor in the head of a request that is sent byte by byte.
	r.post(strings.ReplaceAll(envelope, "><", ">\n<")).expect(t, "LF in the body", 200, "Success 200 ")
	conn := r.dial()
	defer conn.Close()
	for _, b := range []byte(request("/einvoice", strings.ReplaceAll(envelope, "><", ">\n<"))) {
		if _, err := conn.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	slow, err := readResponse(bufio.NewReader(conn), "POST")
	if err != nil {
		t.Fatal(err)
	}
	slow.expect(t, "byte by byte", 200, "Success 200 ")
}

// What comes with a request's first byte is read with it, 1 KB at most: nothing is lost or waited for when a request is
// just as long, or when the next one comes with it.
func TestReadAhead(t *testing.T) {
	r := start(t)
	bare := len(request("/einvoice", envelope, "X-Pad: \r\n"))
	for _, size := range []int{1023, 1024, 1025, 2047, 2048, 10_000} {
		conn := r.dial()
		one := request("/einvoice", envelope, "X-Pad: "+strings.Repeat("x", size-bare)+"\r\n")
		io.WriteString(conn, strings.Repeat(one, 3))
		in := bufio.NewReader(conn)
		for range 3 {
			got, err := readResponse(in, "POST")
			if err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			got.expect(t, strconv.Itoa(size), 200, "Success 200 ")
		}
		conn.Close()
	}
}

// .NET sends the header, waits for 100 Continue up to 350 ms, then sends the body.
func TestExpect100Continue(t *testing.T) {
	r := start(t)
	conn := r.dial()
	defer conn.Close()
	header, body, _ := strings.Cut(request("/einvoice", envelope, "Expect: 100-continue\r\n"), "\r\n\r\n")
	io.WriteString(conn, header+"\r\n\r\n")
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	in.ReadString('\n')
	io.WriteString(conn, body)
	got, err := readResponse(in, "POST")
	if err != nil {
		t.Fatal(err)
	}
	got.expect(t, "call", 200, "Success 200 ")
}

func TestKeepAlive(t *testing.T) {
	r := start(t)
	conn := r.dial()
	defer conn.Close()
	in := bufio.NewReader(conn)
	for range 5 { // a fault does not end the connection either
		io.WriteString(conn, request("/einvoice", envelope)+request("/einvoice", "no XML")+request("/nowhere", envelope))
		for _, want := range []int{200, 500, 404} {
			got, err := readResponse(in, "POST")
			if err != nil || got.status != want {
				t.Fatalf("%d, %v, want %d", got.status, err, want)
			}
		}
	}
	if got := r.raw(strings.Replace(request("/einvoice", envelope), "HTTP/1.1", "HTTP/1.0", 1)); !got.closes {
		t.Error("an HTTP/1.0 connection was kept without being asked")
	}
}

// X22: a client that drips its request, or says nothing, is sent away; others don't notice.
func TestSlowClients(t *testing.T) {
	r := start(t, func(s *setup) { s.ReadTimeout = 400 * time.Millisecond })
	whole := request("/einvoice", envelope)
	header, _, _ := strings.Cut(whole, "\r\n\r\n")
	for name, begin := range map[string]string{
		"silent": "", "slow header": header[:40], "slow body": whole[:len(whole)-40], "open tags": whole[:len(header)+4],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := r.dial()
			defer conn.Close()
			start := time.Now()
			io.WriteString(conn, begin)
			if name == "open tags" {
				go drip(conn, "<a>")
			} else if begin != "" {
				go drip(conn, "a")
			}
			got, err := readResponse(bufio.NewReader(conn), "POST")
			if err == nil && got.status != 408 {
				t.Errorf("status %d", got.status)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("sent away after %v", took)
			}
		})
	}
	t.Run("others", func(t *testing.T) {
		t.Parallel()
		for range 20 {
			r.post(envelope).expect(t, "call", 200, "Success 200 ")
		}
	})
}

// drip sends a little every now and then until the connection is closed.
func drip(conn net.Conn, piece string) {
	for {
		if _, err := io.WriteString(conn, piece); err != nil {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// A client that does not read its answers is cut off by the time to write.
func TestSlowReader(t *testing.T) {
	r := start(t, func(s *setup) { s.WriteTimeout = 300 * time.Millisecond })
	conn := r.dial()
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		get := strings.Repeat("GET /einvoice?wsdl HTTP/1.1\r\nHost: bridge\r\n\r\n", 100)
		for range 200 { // 140 MB of descriptions that nobody reads
			if _, err := io.WriteString(conn, get); err != nil {
				return
			}
		}
	}()
	select {
	case <-ended:
	case <-time.After(8 * time.Second):
		t.Error("the connection is still open")
	}
	r.post(envelope).expect(t, "another client", 200, "Success 200 ")
}

// The engine pinned in go.mod is the first that refuses every probe of TestFraming; its own security fixes carry no
// CVE numbers, so no scanner would notice an older one.
func TestEngineVersion(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}{{with .Replace}} replaced{{end}}", "github.com/valyala/fasthttp").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(out)); got != "v1.74.0" {
		t.Errorf("built with fasthttp %s; run TestFraming against it before changing this test", got)
	}
}

func FuzzFraming(f *testing.F) {
	f.Add("Host: a\r\nContent-Length: 5\r\n\r\n")
	f.Add("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")
	f.Add("Host: a\r\n folded\r\n\r\n")
	f.Add("Expect: 100-continue\r\nX: y\nZ: w\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		status := server.FramingOf([]byte(raw))
		header, _, _ := strings.Cut(raw+"\r\n", "\r\n\r\n")
		lower := "\n" + strings.ToLower(header)
		both := strings.Contains(lower, "\ncontent-length:") && strings.Contains(lower, "\ntransfer-encoding:")
		twice := strings.Count(lower, "\ncontent-encoding:") > 1 || strings.Count(lower, "\nauthorization:") > 1
		folded := strings.Contains(lower, "\n ") || strings.Contains(lower, "\n\t")
		if (both || twice || folded) && status == 0 && !strings.HasPrefix(raw, "\r\n") {
			t.Errorf("let pass: %q", raw)
		}
	})
}

// guards against soap growing a limit that the engine's own would hide
func TestBodyLimitIsTheDecoders(t *testing.T) {
	r := start(t, func(s *setup) {
		d := soap.NewDecoder(s.Contract)
		d.Limits.BodyBytes = 2000
		s.Decoder = d
	})
	r.post(envelope).expect(t, "small", 200, "Success 200 ")
	r.post(envelope+strings.Repeat(" ", 2000)).expect(t, "large", 413, "SOAP-ENV:Client: Limit max_body_bytes (2000) exceeded at byte 2000")
}
