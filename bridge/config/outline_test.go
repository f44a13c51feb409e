package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// write puts a configuration into a folder of its own, apart from where the test runs, beside files that it names.
func write(t *testing.T, text string, files map[string]string) (path, dir string) {
	t.Helper()
	t.Chdir(t.TempDir())
	dir = t.TempDir()
	path = filepath.Join(dir, "bridge.yaml")
	files["bridge.yaml"] = text
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, dir
}

// Whoever reads the file finds the same journal, in whichever folder it runs.
func TestJournalCountsFromTheConfigurationsFolder(t *testing.T) {
	t.Setenv("BRIDGE_TEST_NAME", "named")
	for written, want := range map[string]string{
		"":                                     "sqlite:DIR/bridge.db",
		"journal: ~\n":                         "sqlite:DIR/bridge.db",
		"journal: sqlite:sub/bridge.db\n":      "sqlite:DIR/sub/bridge.db",
		"journal: sqlite:/var/lib/bridge.db\n": "sqlite:/var/lib/bridge.db",
		"journal: 'sqlite:${BRIDGE_TEST_NAME}.db'\n": "sqlite:DIR/named.db",
		"journal: file:dsn\n":                        "sqlite:DIR/of-a-file.db",
		"journal: postgres://db/bridge\n":            "postgres://db/bridge",
	} {
		t.Run(written, func(t *testing.T) {
			path, dir := write(t, written+"callers: {sap: {tokens: [], taxpayers: all}, axis: {tokens: [], taxpayers: all}}\n",
				map[string]string{"dsn": "sqlite:of-a-file.db\n"})
			want := strings.Replace(want, "DIR", dir, 1)
			t.Chdir(filepath.Dir(dir))
			for _, name := range []string{path, filepath.Join(filepath.Base(dir), "bridge.yaml")} {
				f, err := Load(name, kinds)
				if err != nil {
					t.Fatal(err)
				}
				of, err := LoadOutline(name)
				if err != nil || f.Journal != want || of.Journal != want || !slices.Equal(of.Callers, []string{"axis", "sap"}) {
					t.Errorf("serve has %s, a command %+v (%v); want %s", f.Journal, of, err, want)
				}
			}
		})
	}
}

// A record that lies where it counted from before is not passed over for an empty one.
func TestJournalThatLiesElsewhere(t *testing.T) {
	path, dir := write(t, "callers: {sap: {tokens: [], taxpayers: all}}\n", map[string]string{})
	here, err := filepath.Abs("bridge.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(here, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, served := Load(path, kinds)
	_, asked := LoadOutline(path)
	for who, err := range map[string]error{"serve": served, "a command": asked} {
		if err == nil || !strings.Contains(err.Error(), here) || !strings.Contains(err.Error(), filepath.Join(dir, "bridge.db")) {
			t.Errorf("%s: %v; want both places", who, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bridge.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, kinds); err != nil {
		t.Errorf("with one in its place: %v", err)
	}
}

// An operator's command needs none of the service's secrets, and repeats nothing of a file that is no configuration.
func TestLoadOutlineReadsNothingElse(t *testing.T) {
	path, _ := write(t, "upstreams: {nic: {kind: nic, client_secret: '${NOT_SET_ANYWHERE}'}}\nnonsense: [\"file:none\"]\n", map[string]string{"wrong": "journal: [hunter2"})
	if of, err := LoadOutline(path); err != nil || !strings.HasSuffix(of.Journal, "/bridge.db") || of.Callers != nil {
		t.Errorf("%+v, %v", of, err)
	}
	for name, want := range map[string]string{"wrong": "no configuration", "none": "there is no configuration"} {
		if _, err := LoadOutline(filepath.Join(filepath.Dir(path), name)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, []byte("x: 1\njournal: 'sqlite:${NOT_SET_ANYWHERE}'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOutline(path); err == nil || !strings.Contains(err.Error(), path+":2: journal: the environment variable NOT_SET_ANYWHERE is not set") {
		t.Errorf("%v", err)
	}
}
