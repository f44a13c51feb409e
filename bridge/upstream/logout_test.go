package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSessionEndGivesTheTokenOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &teller{lives: time.Hour}
		s := a.session()
		if _, ok := s.End(); ok {
			t.Error("a session that never was has a token to log out")
		}
		get(t, s, 1)
		if token, ok := s.End(); !ok || token != 1 {
			t.Errorf("End = %d, %v; want the token held", token, ok)
		}
		if _, ok := s.End(); ok {
			t.Error("the same token was given out twice")
		}
		get(t, s, 1) // the teller counts from the last token: none
		if whys := a.asked(); whys[1] != Fresh {
			t.Errorf("the login after the end is %v, want fresh", whys[1])
		}
	})
}
