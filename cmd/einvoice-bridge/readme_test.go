package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/demo"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tableIn returns the cells of the table whose head begins with first.
func tableIn(t *testing.T, text, first string) [][]string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n| "+first)
	if !ok {
		t.Fatalf("there is no table that begins with %q", first)
	}
	var rows [][]string
	for i, line := range strings.Split("| "+first+rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if i == 1 {
			continue // the line below the head
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

var code = regexp.MustCompile("`([^`]+)`")

// The mapping table says what goes over the wire: every name in it is in the cancel as the simulator got it.
func TestGuideMapsWhatIsSent(t *testing.T) {
	dir := t.TempDir()
	sims, err := demo.New(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	d := demonstration{listen: "127.0.0.1:0", once: true, out: io.Discard}
	if err := d.play(t.Context(), dir, sims); err != nil {
		t.Fatal(err)
	}
	rows := tableIn(t, guide(t, "authorities.md"), "SOAP |")
	for col, kind := range rows[0] {
		if col == 0 {
			continue
		}
		i := slices.IndexFunc(sims, func(s demo.Simulator) bool { return s.Name == kind })
		if i < 0 {
			t.Errorf("the guide maps %s, which is no upstream", kind)
			continue
		}
		wire := wireOf(t, sims[i].Log)
		for _, row := range rows[1:6] { // the rows below are about answers
			for _, name := range code.FindAllStringSubmatch(row[col], -1) {
				if !strings.Contains(wire, strings.ToLower(name[1])) {
					t.Errorf("%s, %s: %s is not in the cancel that was sent:\n%s", kind, row[0], name[1], wire)
				}
			}
		}
	}
}

// wireOf is the first cancel that a simulator got: path, header names and JSON keys, in lower case.
func wireOf(t *testing.T, sim *sandbox.Sandbox) string {
	t.Helper()
	for _, c := range sim.Calls() {
		if c.Operation != sandbox.Cancel {
			continue
		}
		names := []string{c.Method + " " + c.URL}
		for h := range http.Header(c.Header) {
			names = append(names, h)
		}
		var v any
		if err := json.Unmarshal(c.Request, &v); err != nil {
			t.Fatal(err)
		}
		return strings.ToLower(strings.Join(append(names, fmt.Sprint(keysOf(v))), "\n"))
	}
	t.Fatal("the simulator got no cancel")
	return ""
}

func keysOf(v any) (names []string) {
	switch v := v.(type) {
	case map[string]any:
		for k, sub := range v {
			names = append(append(names, k), keysOf(sub)...)
		}
	case []any:
		for _, sub := range v {
			names = append(names, keysOf(sub)...)
		}
	}
	return names
}
