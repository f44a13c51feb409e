package nic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

func TestWhatIsSent(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		c      bridge.Cancellation
		plain  string
		header map[string]string
		not    []string
	}{
		{
			name: "default", change: func(*Config) {}, c: vectorCancel,
			plain: `{"Irn":"` + vectorIRN + `","CnlRsn":"1","CnlRem":"Wrong entry"}`,
			header: map[string]string{
				"client_id": "client-id-1", "client_secret": "client-secret-1", "Gstin": "29AAFCD5862R000",
				"user_name": "user-name-1", "AuthToken": "token00000000000000000001", "Content-Type": "application/json",
			},
			not: []string{"irp", "sup_gstin"},
		},
		{
			name: "hyphens, other system, e-commerce operator, gateway",
			change: func(c *Config) {
				c.HeaderStyle, c.IRP, c.SupGSTIN = Hyphen, "NIC2", "09aaapg7885r002"
				c.Headers = map[string]bridge.Secret{"aspid": "42"}
			},
			c:     bridge.Cancellation{Document: vectorIRN, Reason: bridge.OrderCancelled},
			plain: `{"Irn":"` + vectorIRN + `","CnlRsn":"3","CnlRem":"Order cancelled"}`,
			header: map[string]string{
				"client-id": "client-id-1", "client-secret": "client-secret-1", "user-name": "user-name-1",
				"sup-gstin": "09AAAPG7885R002", "irp": "NIC2", "aspid": "42",
			},
			not: []string{"client_id", "user_name"},
		},
		{
			name: "a static header for the client (ClearTax as GSP: X-CT-Auth-Token)",
			change: func(c *Config) {
				c.ClientID, c.ClientSecret = "", ""
				c.Headers = map[string]bridge.Secret{"X-CT-Auth-Token": "gateway-token-1"}
			},
			c:      vectorCancel,
			plain:  `{"Irn":"` + vectorIRN + `","CnlRsn":"1","CnlRem":"Wrong entry"}`,
			header: map[string]string{"X-CT-Auth-Token": "gateway-token-1", "user_name": "user-name-1"},
			not:    []string{"client_id", "client_secret"},
		},
		{
			name: "too long, cut to 100 UTF-16 units", change: func(c *Config) { c.RemarksTooLong = irp.Truncate },
			c:     bridge.Cancellation{Document: vectorIRN, Reason: bridge.Others, Remarks: strings.Repeat("x", 99) + "😀<&>"},
			plain: `{"Irn":"` + vectorIRN + `","CnlRsn":"4","CnlRem":"` + strings.Repeat("x", 99) + `"}`,
		},
		{
			name: "what JSON must escape", change: func(*Config) {},
			c:     bridge.Cancellation{Document: vectorIRN, Reason: bridge.DataEntry, Remarks: `"a" \ <b> & ü 😀`},
			plain: `{"Irn":"` + vectorIRN + `","CnlRsn":"2","CnlRem":"\"a\" \\ <b> & ü 😀"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeNIC{t: t}
			var sent *http.Request
			f.answer = func(r *http.Request, _ int) string { sent = r; return "" }
			a, _ := f.adapter(tt.change)
			o := a.Cancel(t.Context(), tt.c, upstreamtest.Free)
			wantClass(t, o, bridge.Cancelled)
			if got := o.Exchanges[1].Request; got != tt.plain {
				t.Errorf("sent\n%s\nwant\n%s", got, tt.plain)
			}
			if sent.Method != "POST" || sent.URL.Path != "/eicore/v1.03/Invoice/Cancel" {
				t.Errorf("%s %s", sent.Method, sent.URL.Path)
			}
			for name, value := range tt.header {
				if got := sent.Header[name]; !slices.Equal(got, []string{value}) {
					t.Errorf("header %s: %q, want %q", name, got, value)
				}
			}
			for _, name := range tt.not {
				if got, ok := sent.Header[name]; ok {
					t.Errorf("header %s: %q", name, got)
				}
			}
		})
	}
}

// The lists of NIC's error-code page once more, by hand: what each code means on a cancel, and on a login.
func TestEveryCode(t *testing.T) {
	const (
		K = "1004 1006 1007 1008 1010 1011 1012 1013 1014 1015 1016 1017 1018 1019 3000 3002 3014 3015 3064 3030 3031 3033 3034 3035 " +
			"3036 3045 3046 3053 3059 3060 3061 3065 3067 3068 3069 3070 3072 3080 3098 2255 5003"
		C = "3009 2142 2145"
		B = "3001 3005 3011 3028 3029 3074 3075 3076 3077 3078 3079 2143 2154 2226 2230 2257 2270 2283 4002 4003"
		R = "3020 3043 SYS_5001 2139 2140 2141 2146 2147 5001 4004 114 GEN5008 GSPERR300"
		A = "2302 4000"
		// The registration portal's codes, those of generating an invoice and the e-way-bill side's others are no answer to a
		// cancel: what no list has is looked up.
		unlisted = "3003 3024 3073 4711 8888"
		generate = "2150 2278 2295"
	)
	for _, tt := range []struct {
		codes, text        string
		onCancel, onLogin  bridge.Class
		unclassified, loud bool
	}{
		{K, "x", bridge.Misconfigured, bridge.Misconfigured, false, true},
		{C, "x", bridge.Refused, bridge.Misconfigured, false, true},
		{B, "x", bridge.Refused, bridge.Misconfigured, false, false},
		{"2148", "x", bridge.Refused, bridge.Misconfigured, false, true}, // at either system
		{R, "x", bridge.Unknown, bridge.NotApplied, false, false},
		{A, "x", bridge.AlreadyCancelled, bridge.Misconfigured, false, false},
		{"1005 1020", "x", bridge.Misconfigured, bridge.Misconfigured, false, true}, // after one replay
		{"9999", "Invoice is not active", bridge.AlreadyCancelled, bridge.Misconfigured, false, false},
		{"9999", "IRN is already cancelled", bridge.AlreadyCancelled, bridge.Misconfigured, false, false}, // seen in production, 2026-11
		{"9999", "x", bridge.Unclear, bridge.Misconfigured, true, false},
		{"9999", "Connection reset", bridge.Unknown, bridge.NotApplied, false, false},
		{"GEN5005", "GSP account limit exceeded", bridge.Misconfigured, bridge.Misconfigured, false, true},
		{"118", "try after 5 minutes", bridge.NotApplied, bridge.NotApplied, false, false},
		{"105 106", "Invalid Token", bridge.Misconfigured, bridge.Misconfigured, false, true}, // after one replay
		{generate, "x", bridge.Unclear, bridge.Misconfigured, true, false},
		{"5002", "Application error, contact the helpdesk", bridge.Unknown, bridge.NotApplied, false, false},
		{"5002", "The field CnlRsn must be a string", bridge.Refused, bridge.Misconfigured, false, true},
		{"5002", "Request body too large", bridge.Refused, bridge.Misconfigured, false, true},
		{unlisted, "x", bridge.Unclear, bridge.Misconfigured, true, false},
	} {
		for code := range strings.FieldsSeq(tt.codes) {
			t.Run(code+" "+tt.text, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					reply := errorReply(code, tt.text)
					f := &fakeNIC{t: t, answer: func(*http.Request, int) string { return reply }}
					a, _ := f.adapter()
					o := cancel(t, a)
					wantClass(t, o, tt.onCancel)
					if o.Code != code || o.Message != code+": "+tt.text || o.Unclassified != tt.unclassified || (o.Alarm != "") != tt.loud {
						t.Errorf("%+v", o)
					}
					f = &fakeNIC{t: t, auth: func(int) string { return reply }}
					a, _ = f.adapter()
					o = cancel(t, a)
					wantClass(t, o, tt.onLogin)
					if o.Code != code || o.Sent || len(f.used()) != 0 || len(f.logins()) != 1 {
						t.Errorf("on login: %+v, %d calls", o, len(f.used()))
					}
				})
			})
		}
	}
}

func TestTransportOnLogin(t *testing.T) {
	for reply, want := range map[string]bridge.Class{
		"401 <html>": bridge.Misconfigured, "403 <html>": bridge.Misconfigured, "404 <html>": bridge.Misconfigured, "302 moved": bridge.Misconfigured,
		"200 <html>": bridge.NotApplied, "200 ": bridge.NotApplied, "400 <html>": bridge.NotApplied, "408 x": bridge.NotApplied,
		"425 x": bridge.NotApplied, "429 x": bridge.NotApplied, "500 x": bridge.NotApplied, "503 <html>": bridge.NotApplied, "reset": bridge.NotApplied,
		`200 {"Status":1,"Data":null}`:                         bridge.NotApplied,
		`200 {"Status":1,"Data":"xjBygs2Q"}`:                   bridge.NotApplied,
		`200 {"Status":1,"Data":{"AuthToken":"t","Sek":"AA"}}`: bridge.NotApplied,
		`200 {"Status":1,"Data":{"AuthToken":"","Sek":""}}`:    bridge.NotApplied,
		`200 {"Status":0,"ErrorDetails":null}`:                 bridge.NotApplied,
	} {
		t.Run(reply, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeNIC{t: t, auth: func(int) string { return reply }}
				a, _ := f.adapter()
				o := cancel(t, a)
				wantClass(t, o, want)
				if o.Sent || len(f.used()) != 0 || len(o.Exchanges) != 1 {
					t.Errorf("written %v, %d calls, %d exchanges", o.Sent, len(f.used()), len(o.Exchanges))
				}
			})
		})
	}
}

func TestTransportOnCancel(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		class   bridge.Class
		written bool
	}{
		{"connect error", &net.OpError{Op: "dial", Err: errors.New("refused")}, bridge.NotApplied, false},
		{"reset after writing", io.ErrUnexpectedEOF, bridge.Unknown, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeNIC{t: t}
			shared := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
			shared.RoundTripper = upstreamtest.Network(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/Cancel") {
					return nil, tt.err
				}
				return f.roundTrip(r)
			})
			f.life = time.Hour
			a, err := New(testConfig(t), shared)
			if err != nil {
				t.Fatal(err)
			}
			o := cancel(t, a)
			wantClass(t, o, tt.class)
			if o.Sent != tt.written || o.Exchanges[1].Err == "" || sends(o) != 1 {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestTimeoutOfACallIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t}
		f.answer = func(r *http.Request, _ int) string { <-r.Context().Done(); return "reset" }
		a, _ := f.adapter()
		start := time.Now()
		wantClass(t, cancel(t, a), bridge.Unknown)
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("took %v", took)
		}
		start = time.Now()
		if _, err := a.Lookup(t.Context(), vectorCancel); err == nil || time.Since(start) != 10*time.Second {
			t.Errorf("lookup: %v after %v", err, time.Since(start))
		}
	})
}

// A success that can't be read is never refused, never sent again and never more than NIC's claim: the flow looks it up.
func TestSuccessThatCantBeRead(t *testing.T) {
	for reply, claimed := range map[string]bool{
		`{"Status":1,"Data":"AAAAAAAAAAAAAAAAAAAAAA=="}`:  true,
		`{"Status":1,"Data":"no base64"}`:                 true,
		`{"Status":1,"Data":null}`:                        false,
		`{"Status":1}`:                                    false,
		`{"Status":1,"Data":{"Irn":"` + vectorIRN + `"}}`: false, // in clear: not NIC's
		`{"Status":1,"Data":"AAAAAAAAAAAAAAAAAAAAAA==","ErrorDetails":[{"ErrorCode":"2270","ErrorMessage":"late"}]}`: false,
	} {
		f := &fakeNIC{t: t, answer: func(*http.Request, int) string { return reply }}
		a, _ := f.adapter()
		o := cancel(t, a)
		wantClass(t, o, bridge.Unknown)
		if o.Claimed != claimed || (o.Alarm != "") != claimed || o.Message == "" || !o.Sent || sends(o) != 1 || len(f.used()) != 1 {
			t.Errorf("%s: claimed %v, sent %v, %d calls, message %q, alarm %q", reply, o.Claimed, o.Sent, len(f.used()), o.Message, o.Alarm)
		}
		cancel(t, a)
		if n := len(f.logins()); claimed != (n == 2) {
			t.Errorf("%s: %d logins: a session key is given up when it is suspect, and only then", reply, n)
		}
	}
}

// Sent tells whether a byte of any send of the call may have left, the one that was stopped at the gate included.
func TestSentIsTrueOfTheWholeCall(t *testing.T) {
	refused := errorReply("1005", "Invalid Token")
	for name, tc := range map[string]struct {
		fake  *fakeNIC
		fence bridge.Fence
		class bridge.Class
		sent  bool
	}{
		"lease lost before the send":       {&fakeNIC{}, upstreamtest.Lost, bridge.NotApplied, false},
		"no fence":                         {&fakeNIC{}, nil, bridge.NotApplied, false},
		"login refused":                    {&fakeNIC{auth: func(int) string { return errorReply("1019", "Incorrect Password") }}, upstreamtest.Free, bridge.Misconfigured, false},
		"stopped at the gate, login fails": {&fakeNIC{auth: second("503 <html>"), answer: always(refused)}, upstreamtest.Free, bridge.NotApplied, true},
		"stopped at the gate, lease lost":  {&fakeNIC{answer: always(refused)}, once(), bridge.NotApplied, true},
		"stopped at the gate twice":        {&fakeNIC{answer: always(refused)}, upstreamtest.Free, bridge.Misconfigured, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := tc.fake
			f.t = t
			a, _ := f.adapter()
			o := a.Cancel(t.Context(), vectorCancel, tc.fence)
			wantClass(t, o, tc.class)
			if o.Sent != tc.sent {
				t.Errorf("sent %v, want %v: %s", o.Sent, tc.sent, o.Message)
			}
		})
	}
}

func always(reply string) func(*http.Request, int) string {
	return func(*http.Request, int) string { return reply }
}

// second is what every login but the first is answered.
func second(reply string) func(int) string {
	return func(n int) string {
		if n == 1 {
			return ""
		}
		return reply
	}
}

// once is the fence of a process that loses its lease after the first send.
func once() bridge.Fence {
	sends := 0
	return func(context.Context) error {
		if sends++; sends > 1 {
			return bridge.ErrLostLease
		}
		return nil
	}
}

// An IRN that was registered at NIC's other system is asked for there, once (NIC e-invoice API, "Cancel IRN", header irp,
// and code 2148; 2026-11).
func TestTheOtherSystem(t *testing.T) {
	notHere := errorReply("2148", "Requested IRN data is not available")
	for name, tt := range map[string]struct {
		irp, host, first string // first: what the system that is asked first says; empty: 2148
		there            string // what the other one says to a cancel; empty: carried out
		class            bridge.Class
		calls            []string // the irp headers, in order
		alarm            string
	}{
		"carried out there":               {"", "", "", "", bridge.Cancelled, []string{"", "NIC2"}, ""},
		"the other way":                   {"NIC2", "", "", "", bridge.Cancelled, []string{"NIC2", "NIC1"}, ""},
		"by the host's name":              {"", "https://api.einvoice2.gst.gov.in", "", "", bridge.Cancelled, []string{"", "NIC1"}, ""},
		"by the sandbox host's name":      {"", "https://einv2api.gstsandbox.nic.in", "", "", bridge.Cancelled, []string{"", "NIC1"}, ""},
		"nor there":                       {"NIC1", "", "", notHere, bridge.Refused, []string{"NIC1", "NIC2"}, "neither NIC1 nor NIC2"},
		"refused there":                   {"", "", "", errorReply("2270", "too late"), bridge.Refused, []string{"", "NIC2"}, ""},
		"doubtful there":                  {"", "", "", "reset", bridge.Unknown, []string{"", "NIC2"}, ""},
		"cancelled there":                 {"", "", "", errorReply("9999", "Invoice is not active"), bridge.AlreadyCancelled, []string{"", "NIC2"}, ""},
		"a gateway without it":            {"", "", "", errorReply("3098", "Invalid IRP code"), bridge.Refused, []string{"", "NIC2"}, "other system, NIC2"},
		"our token isn't theirs":          {"", "", "", errorReply("1005", "Invalid Token"), bridge.Refused, []string{"", "NIC2"}, "other system, NIC2"},
		"no way there":                    {"", "", "", "404 <html>", bridge.Refused, []string{"", "NIC2"}, "other system, NIC2"},
		"another refusal is no 2148":      {"", "", errorReply("2154", "IRN details are not found"), "", bridge.Refused, []string{""}, ""},
		"nor is 2148 beside another code": {"", "", `{"Status":0,"ErrorDetails":[{"ErrorCode":"2148"},{"ErrorCode":"2143"}]}`, "", bridge.Refused, []string{""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeNIC{t: t}
			var calls []string
			f.answer = func(r *http.Request, _ int) string {
				calls = append(calls, strings.Join(spelt(r, "irp"), ","))
				switch {
				case len(calls) > 1:
					return tt.there
				case tt.first != "":
					return tt.first
				}
				return notHere
			}
			a, _ := f.adapter(func(c *Config) {
				if c.IRP = tt.irp; tt.host != "" {
					c.BaseURL = tt.host
				}
			})
			o := a.Cancel(t.Context(), vectorCancel, upstreamtest.Free)
			if o.Class != tt.class || !slices.Equal(calls, tt.calls) || !o.Sent || len(f.auths) != 1 {
				t.Errorf("%v %q after %q, %d logins", o.Class, o.Message, calls, len(f.auths))
			}
			if tt.alarm == "" && o.Alarm != "" || !strings.Contains(o.Alarm, tt.alarm) {
				t.Errorf("alarm %q, want %q", o.Alarm, tt.alarm)
			}
		})
	}
	for _, tt := range []struct {
		there  string
		status bridge.DocumentStatus
		text   string
	}{
		{"CNL", bridge.StatusCancelled, "CNL"},
		{"ACT", bridge.StatusActive, "ACT"},
		{notHere, bridge.StatusUnknown, "2148: Requested IRN data is not available"},
		{errorReply("3098", "Invalid IRP code"), bridge.StatusUnknown, "2148: Requested IRN data is not available"},
	} {
		f := &fakeNIC{t: t}
		f.answer = func(r *http.Request, _ int) string {
			if spelt(r, "irp") == nil {
				return notHere
			}
			return tt.there
		}
		a, _ := f.adapter()
		s, err := a.Lookup(t.Context(), vectorCancel)
		if err != nil || s.Status != tt.status || s.Text != tt.text || len(s.Exchanges) != 3 {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// The IRN goes where {irn} stands (EY IRP: …/enSearch?irn=IRN), else at the path's end.
func TestLookupPaths(t *testing.T) {
	for path, want := range map[string]string{
		"":                               "/eicore/v1.03/Invoice/irn/" + vectorIRN,
		"/core/v1.03/Invoice/irn":        "/core/v1.03/Invoice/irn/" + vectorIRN,
		"/v1.0/api/enSearch?irn={irn}":   "/v1.0/api/enSearch?irn=" + vectorIRN,
		"/v1/irn/{irn}/status?full=true": "/v1/irn/" + vectorIRN + "/status?full=true",
	} {
		f := &fakeNIC{t: t}
		var asked string
		f.answer = func(r *http.Request, _ int) string { asked = r.URL.RequestURI(); return "ACT" }
		a, _ := f.adapter(func(c *Config) { c.GetPath = path })
		if s, err := a.Lookup(t.Context(), vectorCancel); err != nil || s.Status != bridge.StatusActive || asked != want {
			t.Errorf("%q: asked %s, %+v, %v", path, asked, s, err)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		reply  string
		status bridge.DocumentStatus
		text   string
	}{
		{"ACT", bridge.StatusActive, "ACT"},
		{"CNL", bridge.StatusCancelled, "CNL"},
		{"REJ", bridge.StatusOther, "REJ"},
		{errorReply("2148", "Requested IRN data is not available"), bridge.StatusUnknown, "2148: Requested IRN data is not available"}, // at either system: see TestTheOtherSystem
		{errorReply("2154", "IRN details are not found"), bridge.StatusUnknown, "2154: IRN details are not found"},
		{errorReply("2283", "too old"), bridge.StatusUnknown, "2283: too old"},
		{errorReply("9999", "Invoice is not active"), bridge.StatusUnknown, "9999: Invoice is not active"},
		{errorReply("7777", "New rule"), bridge.StatusUnknown, "7777: New rule"},
	}
	for _, tt := range tests {
		t.Run(tt.reply, func(t *testing.T) {
			f := &fakeNIC{t: t}
			f.answer = func(r *http.Request, _ int) string {
				if r.Method != "GET" || r.URL.Path != "/eicore/v1.03/Invoice/irn/"+vectorIRN {
					t.Errorf("%s %s", r.Method, r.URL.Path)
				}
				return tt.reply
			}
			a, _ := f.adapter()
			s, err := a.Lookup(t.Context(), vectorCancel)
			if err != nil || s.Status != tt.status || s.Text != tt.text || s.Date != "" || len(s.Exchanges) != 2 && !strings.HasPrefix(tt.text, "2148") {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	for _, reply := range []string{
		"503 <html>", "200 <html>", "429 x", "403 <html>", "reset", errorReply("5001", "Application Error"), errorReply("1010", "Invalid Client-ID"),
		errorReply("1005", "Invalid Token"), `{"Status":1,"Data":"AAAA"}`, `{"Status":1,"Data":null}`,
		`453 {"status_cd":"0","error":{"error_cd":"GEN5008","message":"GSTN Server Error"}}`,
	} {
		t.Run("no answer: "+reply, func(t *testing.T) {
			f := &fakeNIC{t: t, answer: func(*http.Request, int) string { return reply }}
			a, _ := f.adapter()
			if s, err := a.Lookup(t.Context(), vectorCancel); err == nil || errors.Is(err, bridge.ErrUnavailable) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	t.Run("a wrong path stops no cancel", func(t *testing.T) {
		f := &fakeNIC{t: t, answer: func(*http.Request, int) string { return "404 <html>" }}
		a, budget := f.adapter()
		_, err := a.Lookup(t.Context(), vectorCancel)
		if _, shut, _ := budget.Gate(t.Context(), a.profile.Credential); shut || err == nil || !strings.Contains(err.Error(), "HTTP 404") {
			t.Errorf("gate shut %v, %v", shut, err)
		}
	})
	t.Run("another document", func(t *testing.T) {
		got, text := (&answer{doc: document{Irn: "other", Status: "CNL"}}).state(vectorCancel)
		if got != bridge.StatusUnknown || text != "NIC's reply is about another document" {
			t.Errorf("%v, %q", got, text)
		}
	})
}

func TestOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t, answer: func(*http.Request, int) string { return "503 <html>" }}
		a, _ := f.adapter()
		for range 5 {
			wantClass(t, cancel(t, a), bridge.Unknown)
		}
		n := len(f.used())
		o := cancel(t, a)
		wantClass(t, o, bridge.NotApplied)
		if o.RetryAfter <= 0 || o.Sent || len(f.used()) != n {
			t.Errorf("%+v", o)
		}
		if _, err := a.Lookup(t.Context(), vectorCancel); !errors.Is(err, bridge.ErrUnavailable) {
			t.Errorf("lookup: %v", err)
		}
	})
}

func TestTooManyRequestsShutsTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNIC{t: t}
		shared := upstream.NewShared(&upstreamtest.Budget{}, slog.New(slog.DiscardHandler))
		shared.RoundTripper = upstreamtest.Network(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/Cancel") {
				return upstreamtest.Respond(429, "slow down", "Retry-After: 20"), nil
			}
			return f.roundTrip(r)
		})
		f.life = time.Hour
		a, err := New(testConfig(t), shared)
		if err != nil {
			t.Fatal(err)
		}
		o := cancel(t, a)
		wantClass(t, o, bridge.NotApplied)
		if o.RetryAfter != 20*time.Second || !o.Sent {
			t.Errorf("%+v", o)
		}
	})
}

func TestProbe(t *testing.T) {
	f := &fakeNIC{t: t}
	a, _ := f.adapter()
	if err := a.Probe(t.Context()); err != nil || len(f.logins()) != 1 {
		t.Errorf("%v after %d logins", err, len(f.logins()))
	}
	f = &fakeNIC{t: t, auth: func(int) string { return errorReply("1013", "Decryption of password failed") }}
	a, _ = f.adapter()
	const want = "NIC refused the login: 1013: Decryption of password failed (does public_key belong to this base_url?)"
	if err := a.Probe(t.Context()); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestCancelledContextSendsNothing(t *testing.T) {
	f := &fakeNIC{t: t}
	a, _ := f.adapter()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	o := a.Cancel(ctx, vectorCancel, upstreamtest.Free)
	wantClass(t, o, bridge.NotApplied)
	if o.Sent || len(f.used()) != 0 {
		t.Errorf("%+v", o)
	}
}

// Whatever NIC quotes, no secret gets into an outcome, an exchange or an error.
func TestNoSecretShows(t *testing.T) {
	var f *fakeNIC
	echo := func() string {
		last := f.auths[len(f.auths)-1]
		return "you sent " + last.Password + " " + last.AppKey + " client-secret-1 " + f.token
	}
	for name, set := range map[string]func(){
		"on login": func() {
			f.auth = func(int) string { return errorReply("1019", "you sent Pa$$word-1, client-secret-1") }
		},
		"on cancel":  func() { f.answer = func(*http.Request, int) string { return errorReply("7777", echo()) } },
		"on a token": func() { f.answer = func(*http.Request, int) string { return errorReply("1005", echo()) } },
		"in another form": func() {
			f.answer = func(*http.Request, int) string { return `{"x":"` + echo() + `","AuthToken":"secret-5"}` }
		},
		"in a page":         func() { f.answer = func(*http.Request, int) string { return "500 <html>" + echo() } },
		"nowhere, a cancel": func() {},
	} {
		t.Run(name, func(t *testing.T) {
			f = &fakeNIC{t: t}
			set()
			a, _ := f.adapter()
			o := cancel(t, a)
			_, err := a.Lookup(t.Context(), vectorCancel)
			all, _ := json.Marshal(o)
			text := string(all)
			if err != nil {
				text += err.Error()
			}
			for _, secret := range []string{"Pa$$word-1", "client-secret-1", "token0000000", "secret-5"} {
				if strings.Contains(text, secret) {
					t.Errorf("%q shows in %s", secret, text)
				}
			}
			if !strings.Contains(text, "***") {
				t.Errorf("nothing is masked in %s", text)
			}
		})
	}
}

// What a call costs beside HTTP: session, cryptography and reading, without and with its masked record.
func BenchmarkCancel(b *testing.B) {
	block := vectorBlock(b, "sek.hex")
	s := &session{block: block, mask: upstream.NewMask("password", "appkey", "authtoken", "sek").With("Pa$$word-1", "client-secret-1", "token00000000000000000001")}
	body := []byte(`{"Status":1,"Data":"` + vectors(b)["reply/sealed"] + `","ErrorDetails":null,"InfoDtls":null}`)
	kept := upstream.SessionFor(upstream.NewShared(nil, nil), "c", func(context.Context, upstream.Why, *session) (upstream.Lease[*session], []bridge.Exchange, error) {
		return upstream.Lease[*session]{Token: s, Until: time.Now().Add(time.Hour)}, nil, nil
	}, upstream.Form[*session]{})
	for _, recorded := range []bool{false, true} {
		b.Run(fmt.Sprintf("recorded=%v", recorded), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				held, _, _ := kept.Get(b.Context())
				plain := upstream.JSON(cancelRequest{vectorIRN, "1", upstream.Cut("Wrong entry", irp.MaxRemarks)})
				sealedBody(held.Token, plain)
				a := read(&upstream.Reply{Status: 200, Written: true, Body: body}, held.Token)
				if o := a.outcome(vectorCancel); o.Class != bridge.Cancelled {
					b.Fatal(o)
				}
				if recorded {
					a.Exchange(s.mask, plain, a.plainBody())
				}
			}
			b.ReportMetric(20, "budget-µs/op")
			b.ReportMetric(40, "budget-allocs/op")
		})
	}
}

// spelt are the values of a header that goes out under exactly this name.
func spelt(r *http.Request, name string) []string { return r.Header[name] }
