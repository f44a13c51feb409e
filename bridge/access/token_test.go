package access_test

import (
	"testing"
	"time"

	"einvoice-bridge/bridge/access"
)

// A clock that is set ahead, and back, ends no token that is in use, nor does one that is set back lengthen its life; one
// that was behind when the process saw the token first lengthens it by one life at most.
func TestTokensOutlastAClockThatIsSet(t *testing.T) {
	const day, life = 24 * time.Hour, 4 * time.Hour
	type step struct {
		pass, set time.Duration
		want      string
	}
	good, expired := "sap", access.ErrExpired.Error()
	for name, steps := range map[string][]step{
		"nobody sets it":            {{want: good}, {pass: life - time.Second, want: good}, {pass: time.Second, want: expired}},
		"ahead":                     {{want: good}, {set: day, want: good}, {pass: time.Hour, want: good}, {pass: life - time.Hour, want: expired}},
		"ahead and back":            {{want: good}, {set: day, pass: time.Minute, want: good}, {set: -day, pass: time.Minute, want: good}, {pass: life, want: expired}},
		"back":                      {{want: good}, {set: -day, want: good}, {pass: life, want: expired}},
		"behind when it was issued": {{set: -day}, {want: good}, {set: day, want: good}, {pass: life, want: expired}},
		"ahead before it was seen":  {{set: day, want: expired}, {set: -day, pass: time.Minute, want: good}},
	} {
		t.Run(name, func(t *testing.T) {
			var passed time.Duration
			w := newWorld(t, func(c *access.Config) { c.Passed = func() time.Duration { return passed } })
			var token string
			for n, s := range steps {
				if token == "" && s.want != "" {
					token = w.login(t)
				}
				passed += s.pass
				w.pass(s.pass + s.set)
				if s.pass < time.Minute {
					passed += 2 * time.Second // and it is read again
				}
				if s.want != "" {
					expect(t, "step "+string(rune('1'+n)), w.who(token, here), s.want)
				}
			}
		})
	}
}
