package postgres

import (
	"strings"
	"testing"
)

// Everybody who waits for a name hears of it, once until he listens again; nobody else does, nor who has stopped.
func TestNews(t *testing.T) {
	s, err := New("postgres://bridge@db.example/journal")
	if err != nil {
		t.Fatal(err)
	}
	a, stopA := s.News("x")
	b, stopB := s.News("x")
	c, stopC := s.News("y")
	defer stopC()
	stopB()
	s.wake("x")
	s.wake("x") // blocks nobody
	if len(a) != 1 || len(b) != 0 || len(c) != 0 {
		t.Errorf("heard: %d, %d after it stopped, %d of another name", len(a), len(b), len(c))
	}
	stopA()
	if len(s.waiters) != 1 {
		t.Errorf("kept for those who wait no more: %v", s.waiters)
	}
}

// A DSN may raise durability and never lower it; what can't be read is not repeated, since a password may be in it.
func TestNew(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://db.example:6432/journal":                                  "",
		"postgres://db.example/journal?synchronous_commit=remote_apply":       "",
		"postgres://db.example/journal?synchronous_commit=off":                "synchronous_commit=off would lose cancellations",
		"postgres://u:se/cr%et@db.example/journal":                            "can't be read",
		"postgres://u:p@db.example/journal?connect_timeout=a-secret-not-time": "can't be read",
	} {
		s, err := New(dsn)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", dsn, err)
		case want == "" && !strings.HasPrefix(s.Name(), "db.example:"):
			t.Errorf("%s is named %s", dsn, s.Name())
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "se/cr")):
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
	}
}
