package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
)

var (
	anAlert = regexp.MustCompile(`(?s)- alert: (\w+)\n\s+expr: (.*?)\n\s+(?:for|labels):`)
	aCount  = regexp.MustCompile(`increase\((\w+)(?:\{(\w+)(=~?)"([^"]*)"\})?\[[^\]]*\]\) > (\d+)`)
)

// A test of promtool's: its head, and a part for each alert.
const (
	aTestPlan = `rule_files: [%q]
evaluation_interval: 1m
tests:
`
	anAlertsTest = `- interval: 1m
  input_series: [{series: '%s', values: '0x4 %dx20'}]
  promql_expr_test:
  - {expr: 'count(ALERTS{alertname="%s",alertstate="firing"})', eval_time: 7m, exp_samples: [{labels: '{}', value: 1}]}
`
)

// Each alert on a count goes off at the first event: the series that it is about is there before anything has happened,
// at zero, and the rule itself, played by promtool, fires when it grows.
func TestAlertsCountFromTheFirst(t *testing.T) {
	promtool := need(t, "promtool")
	_, path := sandboxed(t, nil)
	f, err := config.Load(path, app.FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	a := serving(t, f)
	resp, err := http.Get(a.ConsoleURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	scrape, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs(filepath.Join("..", "..", "fixtures", "deploy", "prometheus", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	plan, alerts := fmt.Sprintf(aTestPlan, file), 0
	for _, alert := range anAlert.FindAllStringSubmatch(string(rules), -1) {
		count := aCount.FindStringSubmatch(alert[2])
		if count == nil {
			continue
		}
		alerts++
		series := seriesAtZero(string(scrape), count[1], count[2], count[3], count[4])
		if series == "" {
			t.Errorf("%s counts %s{%s%s%q}, which is not there before its first event", alert[1], count[1], count[2], count[3], count[4])
			continue
		}
		var over int
		fmt.Sscan(count[5], &over)
		plan += fmt.Sprintf(anAlertsTest, series, 2*over+1, alert[1])
	}
	if alerts < 7 {
		t.Errorf("%d alerts count", alerts)
	}
	test := filepath.Join(t.TempDir(), "test.yaml")
	if err := os.WriteFile(test, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "test", "rules", test).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, plan)
	}
}

// seriesAtZero is the first series of a scrape that a rule is about and that has counted nothing; empty without one.
func seriesAtZero(scrape, metric, label, op, value string) string {
	if op == "=" {
		value = regexp.QuoteMeta(value)
	}
	is := regexp.MustCompile(`\b` + label + `="(` + value + `)"`)
	for line := range strings.Lines(scrape) {
		series, ok := strings.CutSuffix(strings.TrimSpace(line), " 0")
		if name, _, _ := strings.Cut(series, "{"); ok && name == metric && (label == "" || is.MatchString(series)) {
			return series
		}
	}
	return ""
}

// The lists of closed sets are whole.
func TestClosedSets(t *testing.T) {
	for _, set := range []struct {
		file, typ string
		has       func(string) bool
	}{
		{"../../bridge/observe.go", "AlarmKind", func(v string) bool {
			return v == string(bridge.AlarmTest) || slices.Contains(bridge.AlarmKinds, bridge.AlarmKind(v)) // a test is not counted
		}},
		{"../../bridge/server/refuse.go", "Refusal", func(v string) bool { return slices.Contains(server.Refusals, server.Refusal(v)) }},
	} {
		f, err := parser.ParseFile(token.NewFileSet(), set.file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		ast.Inspect(f, func(node ast.Node) bool {
			v, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == set.typ {
				n++
				if value := strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`); !set.has(value) {
					t.Errorf("%s %q is not on its list", set.typ, value)
				}
			}
			return true
		})
		if n == 0 {
			t.Errorf("%s has no %s", set.file, set.typ)
		}
	}
}
