package access_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
)

var (
	here  = at("192.0.2.7")
	other = at("198.51.100.9")
)

func at(addr string) access.Origin { return access.Origin{Addr: netip.MustParseAddr(addr)} }

// clock stands still until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// journal keeps tokens as the real one does, and can break.
type journal struct {
	mu     sync.Mutex
	tokens map[string]bridge.Token
	reads  atomic.Int32
	err    error
	*clock
}

func (j *journal) Now() time.Time { return j.clock.now() }

func (j *journal) Issue(_ context.Context, t bridge.Token) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.tokens[t.Hash]; known {
		return errors.New("the same token was issued before")
	}
	if j.err == nil {
		j.tokens[t.Hash] = t
	}
	return j.err
}

func (j *journal) Token(_ context.Context, hash string) (bridge.Token, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads.Add(1)
	if j.err != nil {
		return bridge.Token{}, j.err
	}
	t, ok := j.tokens[hash]
	if !ok {
		return t, fmt.Errorf("token: %w", bridge.ErrNoEntry)
	}
	return t, nil
}

func (j *journal) change(token string, f func(*bridge.Token)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	t := j.tokens[access.HashToken(token)]
	f(&t)
	j.tokens[access.HashToken(token)] = t
}

// cheap is a hash like HashPassword's at a hundredth of its cost.
func cheap(secret string) string {
	salt := []byte("0123456789abcdef")
	b64 := base64.RawStdEncoding.EncodeToString
	return "argon2id:$argon2id$v=19$m=64,t=1,p=1$" + b64(salt) + "$" + b64(argon2.IDKey([]byte(secret), salt, 1, 64, 1, 32))
}

// world is an Access with two callers, sap and axis.
type world struct {
	*access.Access
	*clock
	*journal
}

func newWorld(t *testing.T, change ...func(*access.Config)) world {
	t.Helper()
	w := world{clock: &clock{t: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}}
	w.journal = &journal{tokens: map[string]bridge.Token{}, clock: w.clock}
	cfg := access.Config{
		TokenLife: 4 * time.Hour, Now: w.now,
		Callers: []access.CallerConfig{
			{
				Name: "sap", Within: time.Minute, Tokens: []string{"sha256:" + access.HashToken("long-lived")}, Taxpayers: []string{"29AAFCD5862R000"},
				Login: &access.LoginConfig{Username: "sapuser", Password: cheap("sappass"), ClientID: "erp", ClientSecret: cheap("erpsecret")},
			},
			{
				Name: "axis", Within: time.Minute, AllTaxpayers: true, Addresses: []string{"192.0.2.0/24", "2001:db8::1"}, WSSE: access.WSSECheck,
				Tokens: []string{"sha256:" + strings.ToUpper(access.HashToken("axis-token"))},
				Login:  &access.LoginConfig{Username: "axisuser", Password: cheap("axispass"), ClientID: "erp", ClientSecret: cheap("erpsecret")},
			},
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.Access, err = access.New(cfg, w.journal); err != nil {
		t.Fatal(err)
	}
	return w
}

func good() access.Login {
	return access.Login{Username: "sapuser", Password: "sappass", ClientID: "erp", ClientSecret: "erpsecret", GrantType: "password", From: here}
}

func (w world) login(t *testing.T) string {
	t.Helper()
	got, err := w.Login(t.Context(), good())
	if err != nil {
		t.Fatal(err)
	}
	return got.Token
}

// who names the caller behind a token, or what is wrong with it.
func (w world) who(token string, from access.Origin) string {
	c, err := w.Authenticate(context.Background(), token, from)
	if err != nil {
		return err.Error()
	}
	return c.Name
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestLongLivedTokens(t *testing.T) {
	w := newWorld(t)
	expect(t, "known", w.who("long-lived", other), "sap")
	expect(t, "unknown", w.who("guess", here), "access token is invalid")
	expect(t, "empty", w.who("", here), "access token is invalid")
	expect(t, "its hash is no token", w.who(access.HashToken("long-lived"), here), "access token is invalid")
	expect(t, "from an allowed network", w.who("axis-token", here), "axis")
	expect(t, "from an allowed address", w.who("axis-token", at("2001:db8::1")), "axis")
	expect(t, "IPv4 in IPv6 form", w.who("axis-token", at("::ffff:192.0.2.1")), "axis")
	expect(t, "from elsewhere", w.who("axis-token", other), "caller may not call from this address")
}

func TestMayActFor(t *testing.T) {
	w := newWorld(t)
	sap, err1 := w.Authenticate(t.Context(), "long-lived", here)
	axis, err2 := w.Authenticate(t.Context(), "axis-token", here)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if !sap.May("29AAFCD5862R000") || sap.May("C25845632020") || sap.May("") {
		t.Error("sap may act for others than its one taxpayer")
	}
	if !axis.May("C25845632020") {
		t.Error("axis may act for all and may not")
	}
}

func TestIssuedTokens(t *testing.T) {
	w := newWorld(t)
	got, err := w.Login(t.Context(), good())
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(got.Token) {
		t.Errorf("token %q is not 40 lower-case hexadecimal digits", got.Token)
	}
	if got.Life != 14400*time.Second || got.Caller != "sap" {
		t.Errorf("life %v, caller %q", got.Life, got.Caller)
	}
	for hash, kept := range w.tokens {
		if hash != access.HashToken(got.Token) || kept.Hash != hash || strings.Contains(fmt.Sprintf("%+v", kept), got.Token) {
			t.Errorf("kept as %+v", kept)
		}
	}
	second := w.login(t)
	expect(t, "first", w.who(got.Token, here), "sap")
	expect(t, "second, both live", w.who(second, here), "sap")
	w.pass(14400*time.Second - time.Nanosecond)
	expect(t, "just before its end", w.who(got.Token, here), "sap")
	w.pass(time.Nanosecond)
	expect(t, "at its end", w.who(got.Token, here), "access token has expired")
}

func TestRevocationIsSeenWithinFiveSeconds(t *testing.T) {
	w := newWorld(t)
	token := w.login(t)
	expect(t, "before", w.who(token, here), "sap")
	w.change(token, func(k *bridge.Token) { k.Revoked = w.now() })
	w.pass(2 * time.Second) // the journal's own memory of 3 s comes on top
	expect(t, "after", w.who(token, here), "access token is invalid")
}

// The journal is asked once for a burst of calls, also for tokens that nobody has.
func TestOneReadForManyCalls(t *testing.T) {
	w := newWorld(t)
	for name, token := range map[string]string{"issued": w.login(t), "nobody's": access.NewToken()} {
		w.reads.Store(0)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() { w.who(token, here) })
		}
		wg.Wait()
		if n := w.reads.Load(); n != 1 {
			t.Errorf("%s: %d reads for 200 calls", name, n)
		}
	}
}

func TestBrokenJournalIsNoDenial(t *testing.T) {
	w := newWorld(t)
	token := w.login(t)
	w.err = errors.New("disk full")
	for what, err := range map[string]error{
		"token": func() error { _, err := w.Authenticate(t.Context(), token, here); return err }(),
		"login": func() error { _, err := w.Login(t.Context(), good()); return err }(),
		"adopt": w.Adopt(t.Context(), "sap", "provider-token", time.Hour),
	} {
		var denied *access.DeniedError
		if err == nil || errors.Is(err, access.ErrInvalid) || errors.As(err, &denied) || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: %v", what, err)
		}
	}
	expect(t, "a long-lived token needs no journal", w.who("long-lived", here), "sap")
}

func TestAdoptedTokens(t *testing.T) {
	w := newWorld(t)
	provider := strings.Repeat("provider token ", 26)
	expect(t, "before", w.who(provider, here), "access token is invalid")
	if err := w.Adopt(t.Context(), "sap", provider, time.Hour); err != nil {
		t.Fatal(err)
	}
	expect(t, "adopted", w.who(provider, here), "sap")
	if err := w.Adopt(t.Context(), "sap", provider, time.Hour); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := w.Adopt(t.Context(), "axis", provider, time.Hour); err == nil {
		t.Error("another caller's token was adopted")
	}
	w.pass(time.Hour)
	expect(t, "expired", w.who(provider, here), "access token has expired")
	for what, err := range map[string]error{
		"nobody's caller": w.Adopt(t.Context(), "nobody", "x", time.Hour),
		"no token":        w.Adopt(t.Context(), "sap", "", time.Hour),
		"no life":         w.Adopt(t.Context(), "sap", "x", 0),
	} {
		if err == nil {
			t.Errorf("%s was adopted", what)
		}
	}
}

// A login without secrets stands only for whom the provider knows; it lets nobody in.
func TestOwnerOfAProvidersToken(t *testing.T) {
	w := newWorld(t, func(c *access.Config) { c.Callers[0].Login.Password, c.Callers[0].Login.ClientSecret = "", "" })
	for _, tc := range []struct{ user, client, want string }{
		{"sapuser", "erp", "sap"}, {"sapuser", "other", ""}, {"nobody", "erp", ""}, {"", "", ""},
	} {
		if got, ok := w.Owner(tc.user, tc.client); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%v: %q, %v", tc, got, ok)
		}
	}
	for _, secret := range []string{"", "sappass"} {
		l := good()
		l.Password, l.ClientSecret = secret, secret
		if _, err := w.Login(t.Context(), l); !errors.As(err, new(*access.DeniedError)) {
			t.Errorf("login with %q: %v", secret, err)
		}
	}
}

func TestTokenOfACallerNoLongerConfigured(t *testing.T) {
	w := newWorld(t)
	token := w.login(t)
	w.change(token, func(k *bridge.Token) { k.Caller = "gone" })
	expect(t, "its token", w.who(token, here), "access token is invalid")
}

func TestLimitsPerCaller(t *testing.T) {
	w := newWorld(t, func(c *access.Config) { c.Callers[0].InFlight, c.Callers[0].PerMinute = 2, 60 })
	c, err := w.Authenticate(t.Context(), "long-lived", here)
	if err != nil {
		t.Fatal(err)
	}
	enter := func(want bool) (wait time.Duration) {
		t.Helper()
		wait, ok := c.Enter()
		if ok != want || ok != (wait == 0) {
			t.Fatalf("let in: %v after %v, want %v", ok, wait, want)
		}
		return wait
	}
	enter(true)
	enter(true)
	enter(false)
	c.Leave()
	enter(true)
	for range 57 {
		c.Leave()
		enter(true)
	}
	c.Leave()
	if wait := enter(false); wait != time.Second {
		t.Errorf("told to wait %v for the next of 60 a minute", wait)
	}
	w.pass(time.Second)
	enter(true)
	c.Leave()
	w.pass(time.Hour)
	for range 60 {
		enter(true)
		c.Leave()
	}
	enter(false)
}

// A caller without limits of its own is never held back here.
func TestNoLimits(t *testing.T) {
	c, err := newWorld(t).Authenticate(t.Context(), "long-lived", here)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if wait, ok := c.Enter(); !ok {
				t.Errorf("held back for %v", wait)
			}
		})
	}
	wg.Wait()
}

func TestConfigurationRefused(t *testing.T) {
	const clear = "my-clear-secret"
	for name, tc := range map[string]struct {
		change func(*access.Config)
		want   string
	}{
		"token in clear text":    {func(c *access.Config) { c.Callers[0].Tokens[0] = clear }, `caller "sap": token 1: is not "sha256:"`},
		"token cut short":        {func(c *access.Config) { c.Callers[0].Tokens[0] = "sha256:" + clear }, "64 hexadecimal digits"},
		"token shared":           {func(c *access.Config) { c.Callers[1].Tokens = c.Callers[0].Tokens }, `token 1 is also one of caller "sap"`},
		"password in clear text": {func(c *access.Config) { c.Callers[0].Login.Password = clear }, "login password: is not"},
		"secret in clear text":   {func(c *access.Config) { c.Callers[0].Login.ClientSecret = clear }, "login client_secret: is not"},
		"other hash": {func(c *access.Config) {
			c.Callers[0].Login.Password = "argon2id:$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$c3Vtc3Vt"
		}, "login password"},
		"hash that takes forever": {func(c *access.Config) {
			c.Callers[0].Login.Password = strings.Replace(cheap("x"), "m=64", "m=4000000", 1)
		}, "out of bounds"},
		"hash with junk": {func(c *access.Config) { c.Callers[0].Login.Password = strings.Replace(cheap("x"), "p=1$", "p=1x$", 1) }, "parameters"},
		"short salt": {func(c *access.Config) {
			c.Callers[0].Login.Password = "argon2id:$argon2id$v=19$m=64,t=1,p=1$c2E$" + strings.Repeat("A", 43)
		}, "too short"},
		"no username":     {func(c *access.Config) { c.Callers[0].Login.Username = "" }, "login needs username"},
		"username shared": {func(c *access.Config) { c.Callers[1].Login.Username = "sapuser" }, `login username of caller "sap"`},
		"name shared":     {func(c *access.Config) { c.Callers[1].Name = "sap" }, "name of its own"},
		"no name":         {func(c *access.Config) { c.Callers[1].Name = "" }, "name of its own"},
		"address":         {func(c *access.Config) { c.Callers[0].Addresses = []string{"10.0.0.0/40"} }, `"10.0.0.0/40" is neither`},
		"trouble_as":      {func(c *access.Config) { c.Callers[0].TroubleAs = "html" }, "must be fault or reply"},
		"wsse":            {func(c *access.Config) { c.Callers[0].WSSE = "yes" }, "must be ignore or check"},
		"no time":         {func(c *access.Config) { c.Callers[0].Within = 0 }, `caller "sap": needs a reply_within`},
		"negative limit":  {func(c *access.Config) { c.Callers[0].InFlight = -1 }, "negative"},
	} {
		cfg := access.Config{Callers: []access.CallerConfig{
			{Name: "sap", Within: time.Minute, Tokens: []string{"sha256:" + access.HashToken("a")}, Login: &access.LoginConfig{Username: "sapuser", Password: cheap("p"), ClientID: "c", ClientSecret: cheap("s")}},
			{Name: "axis", Within: time.Minute, Tokens: []string{"sha256:" + access.HashToken("b")}, Login: &access.LoginConfig{Username: "axisuser", Password: cheap("p"), ClientID: "c", ClientSecret: cheap("s")}},
		}}
		tc.change(&cfg)
		_, err := access.New(cfg, &journal{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, tc.want)
		} else if strings.Contains(err.Error(), clear) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}
