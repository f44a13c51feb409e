package nic

import (
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/bridge/upstream/upstreamtest"
)

// fakeNIC is just enough of NIC to drive the session rules without sockets. What it says to a call is the test's.
type fakeNIC struct {
	t    *testing.T
	life time.Duration // of a token
	skew time.Duration // of NIC's clock against ours, in the Date header and TokenExpiry
	// expiry words TokenExpiry; nil: as NIC does.
	expiry func(time.Time) string
	// answer replies to a call under a session; nil or "": carried out. "CNL" and the like answers a GET.
	answer func(r *http.Request, auths int) string
	auth   func(n int) string // a reply to the n-th login instead of a token; "" or nil: a token
	takes  time.Duration      // how long a login lasts
	sticky bool               // a forced refresh gives the same token, at any time

	mu     sync.Mutex
	auths  []authRequest
	tokens []string // that were given out, in order
	calls  []string // tokens of the calls under a session
	token  string
	sek    []byte
	ends   time.Time
}

// errorReply is what NIC says no with.
func errorReply(code, text string) string {
	return string(upstream.JSON(map[string]any{"Status": 0, "Data": nil, "ErrorDetails": []map[string]string{{"ErrorCode": code, "ErrorMessage": text}}}))
}

func (f *fakeNIC) roundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	reply := ""
	if strings.HasSuffix(r.URL.Path, "/auth") {
		time.Sleep(f.takes)
		reply = f.logIn(body)
	} else {
		f.mu.Lock()
		f.calls = append(f.calls, tokenOf(r))
		n := len(f.auths)
		f.mu.Unlock()
		if f.answer != nil {
			reply = f.answer(r, n)
		}
		reply = f.sealed(r, reply, body)
	}
	if reply == "reset" {
		return nil, io.ErrUnexpectedEOF
	}
	status := http.StatusOK
	if code, page, ok := strings.Cut(reply, " "); ok && len(code) == 3 {
		fmt.Sscan(code, &status)
		reply = page
	}
	return upstreamtest.Respond(status, reply, "Date: "+time.Now().Add(f.skew).UTC().Format(http.TimeFormat)), nil
}

// tokenOf reads the header in whatever spelling it came.
func tokenOf(r *http.Request) string {
	for name, values := range r.Header {
		if strings.EqualFold(name, "AuthToken") {
			return values[0]
		}
	}
	return ""
}

// askedIRN is what a GET names, wherever in its path.
var askedIRN = regexp.MustCompile(`[0-9a-f]{64}`)

func (f *fakeNIC) sealed(r *http.Request, reply string, body []byte) string {
	f.mu.Lock()
	block, _ := aes.NewCipher(f.sek)
	f.mu.Unlock()
	var data string
	switch {
	case reply == "" && r.Method == http.MethodPost:
		var in sealedRequest
		json.Unmarshal(body, &in)
		plain, err := unseal64(block, []byte(in.Data))
		if err != nil {
			return errorReply("1020", "Decryption failed")
		}
		var c cancelRequest
		json.Unmarshal(plain, &c)
		data = fmt.Sprintf(`{"Irn":%q,"CancelDate":"2026-11-01 10:00:00"}`, c.Irn)
	case reply == "ACT" || reply == "CNL" || reply == "REJ":
		data = fmt.Sprintf(`{"Irn":%q,"Status":%q}`, askedIRN.FindString(r.URL.RequestURI()), reply)
	default:
		return reply
	}
	return `{"Status":1,"Data":"` + base64.StdEncoding.EncodeToString(seal(block, []byte(data))) + `"}`
}

func (f *fakeNIC) logIn(body []byte) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var outer sealedRequest
	json.Unmarshal(body, &outer)
	sealed, _ := base64.StdEncoding.DecodeString(outer.Data)
	//lint:ignore SA1019 NIC prescribes PKCS #1 v1.5.
	text, err := rsa.DecryptPKCS1v15(nil, NICKey(), sealed)
	if err != nil {
		return errorReply("1020", "Decryption failed")
	}
	plain, _ := base64.StdEncoding.DecodeString(string(text))
	var in authRequest
	if err := json.Unmarshal(plain, &in); err != nil {
		f.t.Errorf("login %s: %v", plain, err)
	}
	f.auths = append(f.auths, in)
	if f.auth != nil {
		if reply := f.auth(len(f.auths)); reply != "" {
			return reply
		}
	}
	now := time.Now()
	if left := f.ends.Sub(now); left <= 0 || in.ForceRefreshAccessToken && left <= 10*time.Minute && !f.sticky {
		f.token, f.sek, f.ends = fmt.Sprintf("token%020d", len(f.tokens)+1), make([]byte, 32), now.Add(f.life)
		rand.Read(f.sek)
		f.tokens = append(f.tokens, f.token)
	}
	appKey, _ := base64.StdEncoding.DecodeString(in.AppKey)
	block, err := aes.NewCipher(appKey)
	if err != nil || len(appKey) != 32 {
		return errorReply("1016", "Decryption of App Key failed")
	}
	expiry := f.ends.Add(f.skew).In(upstream.IST).Format(time.DateTime)
	if f.expiry != nil {
		expiry = f.expiry(f.ends.Add(f.skew))
	}
	return fmt.Sprintf(`{"Status":1,"Data":{"AuthToken":%q,"Sek":%q,"TokenExpiry":%q}}`,
		f.token, base64.StdEncoding.EncodeToString(seal(block, f.sek)), expiry)
}

// revoke ends the running token on NIC's side: the next login brings a new one.
func (f *fakeNIC) revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ends = time.Time{}
}

func (f *fakeNIC) logins() (all []authRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(all, f.auths...)
}

func (f *fakeNIC) used() (tokens []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append(tokens, f.calls...)
}

func testConfig(t testing.TB) Config {
	return Config{
		Settings: upstream.Settings{Name: "nic", Taxpayer: "29AAFCD5862R000", BaseURL: "https://nic.example"},
		ClientID: "client-id-1", ClientSecret: "client-secret-1",
		Username: "user-name-1", Password: "Pa$$word-1",
		PublicKey: string(publicPEM(t)),
	}
}

// adapter makes an adapter that talks to f, and the budget behind it.
func (f *fakeNIC) adapter(change ...func(*Config)) (*Adapter, *upstreamtest.Budget) {
	f.t.Helper()
	if f.life == 0 {
		f.life = 6 * time.Hour
	}
	budget := &upstreamtest.Budget{}
	shared := upstream.NewShared(budget, slog.New(slog.DiscardHandler))
	shared.RoundTripper = upstreamtest.Network(f.roundTrip)
	cfg := testConfig(f.t)
	for _, c := range change {
		c(&cfg)
	}
	a, err := New(cfg, shared)
	if err != nil {
		f.t.Fatal(err)
	}
	return a, budget
}

func wantClass(t *testing.T, o bridge.Outcome, want bridge.Class) {
	t.Helper()
	if o.Class != want {
		t.Errorf("outcome %v (%s, %s), want %v", o.Class, o.Message, o.Alarm, want)
	}
}

func cancel(t *testing.T, a *Adapter) bridge.Outcome {
	t.Helper()
	return a.Cancel(t.Context(), vectorCancel, upstreamtest.Free)
}
