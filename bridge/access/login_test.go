package access_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
)

func TestLoginIsRefusedInTheProvidersWords(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*access.Login)
		want   string
	}{
		"wrong client secret":   {func(l *access.Login) { l.ClientSecret = "no" }, "The client credentials are invalid"},
		"unknown client":        {func(l *access.Login) { l.ClientID = "no" }, "The client credentials are invalid"},
		"no client":             {func(l *access.Login) { l.ClientID, l.ClientSecret = "", "" }, "The client credentials are invalid"},
		"client before user":    {func(l *access.Login) { l.Username, l.ClientSecret = "nobody", "no" }, "The client credentials are invalid"},
		"client before missing": {func(l *access.Login) { l.Username, l.ClientSecret = "", "no" }, "The client credentials are invalid"},
		"wrong password":        {func(l *access.Login) { l.Password = "no" }, "Invalid username and password combination"},
		"unknown user":          {func(l *access.Login) { l.Username = "nobody" }, "Invalid username and password combination"},
		"another's password":    {func(l *access.Login) { l.Password = "axispass" }, "Invalid username and password combination"},
		"no user":               {func(l *access.Login) { l.Username = "" }, `Missing parameters: "username" and "password" required`},
		"no password":           {func(l *access.Login) { l.Password = "" }, `Missing parameters: "username" and "password" required`},
		"no grant type":         {func(l *access.Login) { l.GrantType = "" }, "The grant type was not specified in the request"},
		"other grant type":      {func(l *access.Login) { l.GrantType = "client_credentials" }, `Grant type "client_credentials" not supported`},
		"grant type first":      {func(l *access.Login) { l.GrantType, l.ClientSecret = "", "no" }, "The grant type was not specified in the request"},
		"address not allowed":   {func(l *access.Login) { l.Username, l.Password, l.From = "axisuser", "axispass", other }, "The client credentials are invalid"},
	} {
		w := newWorld(t)
		l := good()
		tc.change(&l)
		_, err := w.Login(t.Context(), l)
		var denied *access.DeniedError
		if !errors.As(err, &denied) || denied.Description != tc.want {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if len(w.tokens) != 0 {
			t.Errorf("%s: a token was issued", name)
		}
	}
}

// The audit log may name the caller whose name was used, never what was sent.
func TestRefusalNamesTheCallerOnly(t *testing.T) {
	w := newWorld(t)
	l := good()
	l.Password = "no-such-secret"
	_, err := w.Login(t.Context(), l)
	var denied *access.DeniedError
	if !errors.As(err, &denied) || denied.Caller != "sap" || strings.Contains(err.Error(), l.Password) || strings.Contains(err.Error(), l.Username) {
		t.Errorf("%v of caller %q", err, denied.Caller)
	}
}

// tries counts how often a wrong login is looked at before it is told to slow down, and for how long.
func tries(t *testing.T, w world, next func(i int) access.Login) (looked int, wait time.Duration) {
	t.Helper()
	for i := range 100 {
		_, err := w.Login(t.Context(), next(i))
		var slow *access.SlowDownError
		if errors.As(err, &slow) {
			return i, slow.RetryAfter
		}
	}
	return 100, 0
}

func TestGuessingSlowsDown(t *testing.T) {
	wrong := func(username string, from access.Origin) access.Login {
		l := good()
		l.Username, l.Password, l.From = username, "guess", from
		return l
	}
	t.Run("by name, known or not, from anywhere", func(t *testing.T) {
		for _, name := range []string{"sapuser", "nobody"} {
			w := newWorld(t)
			looked, wait := tries(t, w, func(i int) access.Login {
				return wrong(name, at(fmt.Sprintf("203.0.113.%d", i)))
			})
			if looked != 51 || wait != time.Second {
				t.Errorf("%s: %d guesses looked at, then %v", name, looked, wait)
			}
		}
	})
	t.Run("by name at one address", func(t *testing.T) {
		w := newWorld(t)
		if looked, wait := tries(t, w, func(int) access.Login { return wrong("sapuser", here) }); looked != 6 || wait != time.Second {
			t.Errorf("%d guesses looked at, then %v", looked, wait)
		}
	})
	t.Run("a guesser elsewhere locks nobody out", func(t *testing.T) {
		w := newWorld(t)
		guess := func() {
			for range 1000 {
				_, _ = w.Login(t.Context(), wrong("sapuser", other))
				w.pass(time.Millisecond)
			}
		}
		for range 5 { // at first from an address where he was never seen
			guess()
			w.login(t)
		}
		for i := range 300 { // nor do many of them, from an address where he was
			_, _ = w.Login(t.Context(), wrong("sapuser", at(fmt.Sprintf("203.0.113.%d", i%250))))
		}
		w.login(t)
		if _, err := w.Basic(t.Context(), basic("sapuser:sappass"), good().From); err != nil {
			t.Error(err)
		}
	})
	t.Run("by address, whatever the name", func(t *testing.T) {
		w := newWorld(t)
		looked, _ := tries(t, w, func(i int) access.Login { return wrong(fmt.Sprint("user", i), here) })
		if looked != 21 {
			t.Errorf("%d guesses looked at", looked)
		}
		if _, err := w.Login(t.Context(), wrong("fresh", other)); errors.As(err, new(*access.SlowDownError)) {
			t.Error("another address must wait too")
		}
	})
	t.Run("doubling up to a minute, then forgotten", func(t *testing.T) {
		w := newWorld(t)
		var waits []time.Duration
		for range 9 {
			_, wait := tries(t, w, func(int) access.Login { return wrong("sapuser", here) })
			waits = append(waits, wait.Round(time.Second))
			w.pass(wait)
		}
		if got := fmt.Sprint(waits); got != "[1s 2s 4s 8s 16s 32s 1m0s 1m0s 1m0s]" {
			t.Errorf("waits are %s", got)
		}
		w.pass(16 * time.Minute)
		if looked, _ := tries(t, w, func(int) access.Login { return wrong("sapuser", here) }); looked != 6 {
			t.Errorf("%d guesses looked at after a rest", looked)
		}
	})
	t.Run("a good login starts anew", func(t *testing.T) {
		w := newWorld(t)
		for range 3 {
			for range 4 {
				if _, err := w.Login(t.Context(), wrong("sapuser", here)); errors.As(err, new(*access.SlowDownError)) {
					t.Fatal(err)
				}
			}
			w.login(t)
		}
	})
	t.Run("who logged in before is not held up by others at his address", func(t *testing.T) {
		w := newWorld(t)
		w.login(t)
		tries(t, w, func(i int) access.Login { return wrong(fmt.Sprint("user", i), here) })
		w.login(t)
	})
	t.Run("all at once gains nothing", func(t *testing.T) {
		w := newWorld(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		looked := 0
		for range 60 {
			wg.Go(func() {
				_, err := w.Login(context.Background(), wrong("sapuser", here))
				if errors.As(err, new(*access.DeniedError)) {
					mu.Lock()
					looked++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if looked > 7 { // five free, one more starts the wait, one more may be in the second slot
			t.Errorf("%d guesses looked at", looked)
		}
	})
}

// An unknown name takes as long as a known one: both fill argon2id's memory equally often. Memory is counted, not time,
// so that a busy machine can't tell otherwise.
func TestUnknownNamesTakeAsLong(t *testing.T) {
	hash := access.HashPassword("x")
	filled := func(username string) uint64 {
		w := newWorld(t, func(c *access.Config) {
			c.Callers[0].Login.Password, c.Callers[0].Login.ClientSecret = hash, hash
			c.Callers[1].Login.Password, c.Callers[1].Login.ClientSecret = hash, hash
		})
		var before, after runtime.MemStats
		for range 2 { // the first one pays for the client secret
			runtime.ReadMemStats(&before)
			_, err := w.Login(t.Context(), access.Login{Username: username, Password: "no", ClientID: "erp", ClientSecret: "x", GrantType: "password", From: here})
			runtime.ReadMemStats(&after)
			if !errors.As(err, new(*access.DeniedError)) {
				t.Fatal(err)
			}
		}
		return (after.TotalAlloc - before.TotalAlloc) >> 20
	}
	known, unknown := filled("sapuser"), filled("nobody")
	if known != unknown || known < 19 {
		t.Errorf("known name %d MiB, unknown name %d MiB", known, unknown)
	}
}

func TestHashPassword(t *testing.T) {
	hash := access.HashPassword("s3cret")
	if !strings.HasPrefix(hash, "argon2id:$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(hash, "s3cret") {
		t.Errorf("hash %q", hash)
	}
	if hash == access.HashPassword("s3cret") {
		t.Error("two hashes of one password are equal")
	}
	w := newWorld(t, func(c *access.Config) { c.Callers[0].Login.Password = hash })
	l := good()
	l.Password = "s3cret"
	if _, err := w.Login(t.Context(), l); err != nil {
		t.Error(err)
	}
}

func basic(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }

func TestBasic(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		header string
		from   access.Origin
		want   string
	}{
		"good":                      {basic("sapuser:sappass"), other, "sap"},
		"scheme in any letter case": {strings.Replace(basic("sapuser:sappass"), "Basic", "BASIC", 1), here, "sap"},
		"wrong password":            {basic("sapuser:sappas"), here, "login refused: Invalid username and password combination"},
		"unknown user":              {basic("nobody:sappass"), here, "login refused: Invalid username and password combination"},
		"no colon":                  {basic("sapuser"), here, "access token is invalid"},
		"no Base64":                 {"Basic sapuser:sappass", here, "access token is invalid"},
		"another scheme":            {"Bearer abc", here, "access token is invalid"},
		"empty":                     {"", here, "access token is invalid"},
		"address not allowed":       {basic("axisuser:axispass"), other, "caller may not call from this address"},
	} {
		c, err := w.Basic(t.Context(), tc.header, tc.from)
		expect(t, name, nameOf(c, err), tc.want)
	}
}

func TestUsernameToken(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		username, password string
		digest             bool
		want               string
	}{
		"good":                     {"axisuser", "axispass", false, "axis"},
		"wrong password":           {"axisuser", "no", false, "login refused: Invalid username and password combination"},
		"caller doesn't use wsse":  {"sapuser", "sappass", false, "access token is invalid"},
		"a digest can't be proven": {"axisuser", "axispass", true, access.ErrDigest.Error()},
	} {
		c, err := w.UsernameToken(t.Context(), tc.username, tc.password, tc.digest, here)
		expect(t, name, nameOf(c, err), tc.want)
	}
}

// nameOf is the caller's name or the error.
func nameOf(c *access.Caller, err error) string {
	if err != nil {
		return err.Error()
	}
	return c.Name
}
