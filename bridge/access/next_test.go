package access_test

import (
	"errors"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
)

// next is the same world under a changed configuration.
func (w world) next(t *testing.T, callers ...access.CallerConfig) world {
	t.Helper()
	next, err := w.Access.Next(access.Config{TokenLife: time.Hour, Callers: callers})
	if err != nil {
		t.Fatal(err)
	}
	return world{next, w.clock, w.journal}
}

func caller(name string, change func(*access.CallerConfig)) access.CallerConfig {
	c := access.CallerConfig{Name: name, AllTaxpayers: true, Within: time.Minute, Tokens: []string{"sha256:" + access.HashToken(name+"-token")}}
	change(&c)
	return c
}

// Who calls, and what he may, is the new configuration's; what was issued stays good, for who is still there.
func TestChangedConfiguration(t *testing.T) {
	w := newWorld(t)
	issued := w.login(t)
	next := w.next(t, caller("sap", func(c *access.CallerConfig) { c.AllTaxpayers, c.Taxpayers = false, []string{"C25845632020"} }))
	expect(t, "an issued token", next.who(issued, here), "sap")
	expect(t, "a token that was taken out", next.who("long-lived", here), "access token is invalid")
	expect(t, "a new token", next.who("sap-token", here), "sap")
	expect(t, "a caller who is gone", next.who("axis-token", here), "access token is invalid")
	if c, _ := next.Authenticate(t.Context(), issued, here); c.May("29AAFCD5862R000") || !c.May("C25845632020") {
		t.Error("may act for whom he might before")
	}
	expect(t, "the old one, for calls that began under it", w.who("long-lived", here), "sap")
	expect(t, "an issued token of a caller who is gone", w.next(t).who(issued, here), "access token is invalid")

	w.change(issued, func(k *bridge.Token) { k.Revoked = w.now() })
	w.pass(2 * time.Second)
	expect(t, "revoked meanwhile", next.who(issued, here), "access token is invalid")
}

// A change gives nobody a second allowance: neither of calls at once nor of calls a minute, and also not by way of
// leaving the file and coming back.
func TestLimitsOutlastAChange(t *testing.T) {
	limited := caller("sap", func(c *access.CallerConfig) { c.InFlight, c.PerMinute = 2, 3 })
	w := newWorld(t).next(t, limited)
	enter := func(w world, what string, want bool) *access.Caller {
		t.Helper()
		c, err := w.Authenticate(t.Context(), "sap-token", here)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Enter(); ok != want {
			t.Fatalf("%s: let in %v, want %v", what, ok, want)
		}
		return c
	}
	first := enter(w, "one", true)
	enter(w, "two", true)
	w = w.next(t).next(t, limited)
	enter(w, "a third at once", false)
	first.Leave()
	first = enter(w, "the third of this minute", true)
	first.Leave()
	enter(w, "a fourth in this minute", false)

	w = w.next(t, caller("sap", func(c *access.CallerConfig) { c.InFlight = 5 }))
	enter(w, "no limit a minute any more", true).Leave()
	w = w.next(t, caller("sap", func(c *access.CallerConfig) { c.InFlight, c.PerMinute = 5, 60 }))
	w.pass(time.Second)
	enter(w, "a second later, of sixty a minute", true).Leave()
	enter(w, "at once after it", false)
}

// Failed guesses are counted on.
func TestGuessesOutlastAChange(t *testing.T) {
	w := newWorld(t)
	login := caller("sap", func(c *access.CallerConfig) {
		c.Login = &access.LoginConfig{Username: "sapuser", Password: cheap("sappass"), ClientID: "erp", ClientSecret: cheap("erpsecret")}
	})
	wrong := good()
	wrong.Password = "guess"
	for range 6 {
		if _, err := w.Login(t.Context(), wrong); !errors.As(err, new(*access.DeniedError)) {
			t.Fatal(err)
		}
	}
	if _, err := w.next(t, login).Login(t.Context(), good()); !errors.As(err, new(*access.SlowDownError)) {
		t.Errorf("the next guess after the change: %v", err)
	}
}

// What is wrong is told, and changes nothing.
func TestNextRefuses(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Access.Next(access.Config{Callers: []access.CallerConfig{{Name: "sap", Tokens: []string{"clear text"}}}}); err == nil {
		t.Error("a token in clear text is taken")
	}
	expect(t, "after it", w.who("long-lived", here), "sap")
}
