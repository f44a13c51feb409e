package setup

import (
	"os"
	"testing"
)

// Callers reach a host at its own name when it listens everywhere.
func TestReachable(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", ":80": name + ":80", "0.0.0.0:80": name + ":80",
	} {
		if got := reachable(address); got != want {
			t.Errorf("%s is reached at %s, want %s", address, got, want)
		}
	}
}
