package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "einvoice-bridge/"

// may lists, for each place, the project packages that its code (tests excepted) may import; a trailing slash allows
// everything below. The most specific place counts.
var may = map[string][]string{
	"cmd/einvoice-bridge/setup": {"bridge/access", "bridge/config", "fixtures/"},
	"cmd/einvoice-bridge": {"cmd/einvoice-bridge/setup", "bridge", "bridge/app", "bridge/config", "bridge/observe", "bridge/journal", "bridge/console", "bridge/access",
		"bridge/soap", "bridge/server", "fixtures/"},
	"bridge":                        {},
	"bridge/app":                    {"bridge", "bridge/"},
	"bridge/observe":                {"bridge"},
	"bridge/flow":                   {"bridge"},
	"bridge/config":                 {"bridge"},
	"bridge/soap":                   {"bridge", "bridge/soap/payload"},
	"bridge/soap/payload":           {},
	"bridge/soap/saved":             {"bridge/soap", "bridge/soap/payload"},
	"bridge/server":                 {"bridge", "bridge/soap", "bridge/access", "wsdl"},
	"bridge/access":                 {"bridge"},
	"bridge/journal":                {"bridge", "bridge/journal/"},
	"bridge/journal/engine":         {"bridge/journal/place", "bridge/journal/postgres"},
	"bridge/journal/place":          {},
	"bridge/journal/postgres":       {},
	"bridge/journal/journaltest":    {"bridge"},
	"bridge/upstream":               {"bridge"},
	"bridge/upstream/":              {"bridge", "bridge/upstream", "bridge/upstream/irp"},
	"bridge/upstream/irp":           {"bridge", "bridge/upstream"},
	"bridge/upstream/myinvois":      {"bridge", "bridge/upstream"},
	"bridge/upstream/nic":           {"bridge", "bridge/upstream", "bridge/upstream/irp", "bridge/upstream/nic/publickey"},
	"bridge/upstream/nic/publickey": {},
	"bridge/upstream/upstreamtest":  {"bridge", "bridge/upstream", "schemas"},
	"bridge/console":                {"bridge", "bridge/rehearsal"},
	"bridge/rehearsal":              {"bridge", "bridge/soap", "bridge/soap/saved"},
	"wsdl":                          {},
	"schemas":                       {},
	"fixtures/":                     {"fixtures/"},
}

type pkg struct {
	ImportPath, Dir string
	Imports         []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports", "./...")
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// place is the most specific key of may for a package path.
func place(path string) (string, bool) {
	if _, ok := may[path]; ok {
		return path, true
	}
	for dir := path; dir != "."; dir = filepath.Dir(dir) {
		if _, ok := may[dir+"/"]; ok && dir != path {
			return dir + "/", true
		}
	}
	return "", false
}

func allowed(path, imported string) bool {
	p, ok := place(path)
	return ok && slices.ContainsFunc(may[p], func(a string) bool {
		return a == imported || strings.HasSuffix(a, "/") && strings.HasPrefix(imported, a)
	})
}

// Imports run one way: who may import whom is listed above, and nowhere else.
func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if _, ok := place(path); !ok {
			t.Errorf("%s has no place in the layout", path)
			continue
		}
		for _, i := range p.Imports {
			if imported, own := strings.CutPrefix(i, module); own && !allowed(path, imported) {
				t.Errorf("%s must not import %s", path, imported)
			}
		}
	}
}

// Fiber is imported in one package only, etree in another, what exports traces in a third: leaving one of them is a
// one-package job.
func TestOneHomeForFiberEtreeAndTraces(t *testing.T) {
	homes := map[string]string{
		"github.com/gofiber/fiber/v2": "bridge/server", "github.com/valyala/fasthttp": "bridge/server", "github.com/beevik/etree": "bridge/soap",
		"go.opentelemetry.io/otel/sdk/trace": "bridge/observe", "go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": "bridge/observe",
	}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, i := range p.Imports {
			for lib, home := range homes {
				if i == lib && path != home && !strings.HasPrefix(path, home+"/") && !strings.HasPrefix(path, "fixtures/peers/") {
					t.Errorf("%s imports %s; only %s may", path, lib, home)
				}
			}
		}
	}
}

// Package bridge is vocabulary and contracts: it takes nothing but the standard library.
func TestBridgeTakesTheStandardLibraryAlone(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"bridge" {
			continue
		}
		for _, i := range p.Imports {
			if host, _, _ := strings.Cut(i, "/"); strings.Contains(host, ".") || i == "C" {
				t.Errorf("bridge imports %s", i)
			}
		}
		return
	}
	t.Error("there is no package bridge")
}

// A package is a room: one that nobody can know by heart is two, and one of a few lines needs a reason, in its comment, why
// it is none of its neighbour's files.
func TestPackagesAreRooms(t *testing.T) {
	const most, least, program, reason = 4000, 150, 2600, "A package of its own"
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(path, "fixtures") {
			continue
		}
		lines, excused := 0, false
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			comment, _, _ := strings.Cut(string(text), "\npackage ")
			lines, excused = lines+strings.Count(string(text), "\n"), excused || strings.Contains(comment, reason)
		}
		allowed := most
		if strings.HasPrefix(path, "cmd/") {
			allowed = program
		}
		if lines > allowed {
			t.Errorf("%s has %d lines without tests; %d are the most", path, lines, allowed)
		}
		if lines < least && !excused {
			t.Errorf("%s has %d lines, and its comment does not say %q and why", path, lines, reason)
		}
	}
}

// The top level is fixed.
func TestTopLevel(t *testing.T) {
	fixed := []string{"cmd", "bridge", "wsdl", "schemas", "fixtures", "findings", "go.mod", "go.sum", "Dockerfile", "README.md", "Makefile"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(fixed, e.Name()) && e.Name() != "out" && e.Name() != "bin" {
			t.Errorf("%s does not belong to the top level", e.Name())
		}
	}
}
