package config

import (
	"strings"
	"testing"
)

// Every form that an address can have: what lets somebody in is not shown.
func TestWithoutSecrets(t *testing.T) {
	for s, want := range map[string]string{
		"sqlite:bridge.db":                                                                    "sqlite:bridge.db",
		"sqlite:/var/lib/einvoice-bridge/bridge.db":                                           "sqlite:/var/lib/einvoice-bridge/bridge.db",
		"postgres://db/bridge":                                                                "postgres://db/bridge",
		"postgres://bridge@db:5432/bridge":                                                    "postgres://bridge@db:5432/bridge",
		"postgres://bridge:hunter2@db/bridge":                                                 "postgres://bridge:xxxxx@db/bridge",
		"postgresql://bridge:hunter2@db/bridge":                                               "postgresql://bridge:xxxxx@db/bridge",
		"postgres://bridge:hunter2@h1:5432,h2:5433/bridge":                                    "postgres://bridge:xxxxx@h1:5432,h2:5433/bridge",
		"postgres://bridge:hunter2@[::1]:5432/bridge":                                         "postgres://bridge:xxxxx@[::1]:5432/bridge",
		"postgres://bridge:hunter2@h1,[fe80::1]:5433/bridge":                                  "postgres://bridge:xxxxx@h1,[fe80::1]:5433/bridge",
		"postgres://bridge:hun@ter2@db/bridge":                                                "postgres://bridge:xxxxx@db/bridge",
		"postgres://bridge:hun:ter2@db/bridge":                                                "postgres://bridge:xxxxx@db/bridge",
		"postgres://bridge:hun%2Fter2@db/bridge":                                              "postgres://bridge:xxxxx@db/bridge",
		"postgres://bridge:hunter2/x@db/bridge":                                               "postgres://…",
		"postgres://bridge:12345/hunter2@db/bridge":                                           "postgres://…",
		"postgres://bridge:12345?hunter2@db/bridge":                                           "postgres://…",
		"postgres://bridge:12345#hunter2@db/bridge":                                           "postgres://…",
		"postgres://bridge:hunter2":                                                           "postgres://…",
		"postgres://bridge:hunter2%zz@db/bridge":                                              "postgres://bridge:xxxxx@db/bridge",
		"postgres://:hunter2@db/bridge":                                                       "postgres://:xxxxx@db/bridge",
		"postgres://db/bridge?password=hunter2":                                               "postgres://db/bridge?…",
		"postgres://db/bridge?user=bridge&password=hunter2":                                   "postgres://db/bridge?user=bridge&…",
		"postgres://db/bridge?PASSWORD=hunter2":                                               "postgres://db/bridge?…",
		"postgres://db/bridge?pass%77ord=hunter2":                                             "postgres://db/bridge?…",
		"postgres://db/bridge?password=hunter2&sslmode=verify-full&sslpassword=hunter2":       "postgres://db/bridge?…&sslmode=verify-full",
		"postgres:///bridge?host=/run/postgresql&user=bridge&target_session_attrs=read-write": "postgres:///bridge?host=/run/postgresql&user=bridge&target_session_attrs=read-write",
		"postgres:///bridge?host=h1,h2&port=5432,5433&password=hunter2#hunter2":               "postgres:///bridge?host=h1,h2&port=5432,5433&…",
		"https://api.example/einv/v1":                                                         "https://api.example/einv/v1",
		"https://api.example:8443/einv?key=hunter2":                                           "https://api.example:8443/einv?…",
		"http://proxy:hunter2@proxy.example:3128":                                             "http://proxy:xxxxx@proxy.example:3128",
		"https://einvoice.example/#hunter2":                                                   "https://einvoice.example/",
		"no address: {but} text":                                                              "no address: {but} text",
	} {
		if got := WithoutSecrets(s); got != want {
			t.Errorf("%s is shown as %s, want %s", s, got, want)
		}
		if strings.Contains(origin(s), "hunter2") {
			t.Errorf("origin of %s is %s", s, origin(s))
		}
	}
	for s, want := range map[string]string{
		"https://collector:4318": "https://collector:4318", "https://collector:4318/": "https://collector:4318/",
		"https://collector/v1/hunter2?x": "https://collector/…", "https://u:hunter2@collector/x": "https://u:xxxxx@collector/…",
	} {
		if got := origin(s); got != want {
			t.Errorf("the origin of %s is %s, want %s", s, got, want)
		}
	}
}
