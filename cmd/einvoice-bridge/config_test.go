package main

import (
	"strings"
	"testing"
)

func TestConfigCommand(t *testing.T) {
	for key, want := range map[string]string{
		"reply_within":           "reply_within\n    How long a caller is kept waiting. Less than its own timeout.\n    stands in the file; by default 50s\n",
		"log.level":              "log.level\n    From which level on. debug, info, warn, error.\n    stands in the file; by default info\n",
		"upstreams.x.public_key": "stands in an upstream of kind nic, or a taxpayer of one; needed; e.g. file:nic.pem\n",
		"client_secret":          "stands in an upstream of kind nic, or a taxpayer of one; needed or headers\n",
		"addresses":              "callers.NAME.addresses\n",
		"kind":                   "stands in every upstream; needed\n",
		"log":                    "log.ids\n",
	} {
		out, err := runCommand(t, "config", key)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", key, err, out)
		}
	}
	if _, err := runCommand(t, "config", "listn"); err == nil || !strings.Contains(err.Error(), `no key "listn"`) {
		t.Errorf("%v", err)
	}
	out, err := runCommand(t, "config")
	if rows := strings.Count(out, "    stands in "); err != nil || rows < 150 || rows != len(guideKeys()) {
		t.Errorf("%d keys, %v", rows, err)
	}
}
