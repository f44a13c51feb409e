package app

import (
	"bufio"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/fixtures/deploy"
	"einvoice-bridge/fixtures/sandbox/demo"
)

var metricName = regexp.MustCompile(`\beinvoice_[a-z_]+`)

// Every metric that a rule or a panel names exists.
func TestRulesAndDashboardNameRealMetrics(t *testing.T) {
	have := scrapeNames(t)
	for _, file := range []string{"prometheus/rules.yaml", "grafana/einvoice-bridge.json"} {
		text, err := fs.ReadFile(deploy.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metricName.FindAllString(string(text), -1) {
			base := name
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !slices.Contains(have, name) && !slices.Contains(have, base) {
				t.Errorf("%s names %s, which no scrape shows", file, name)
			}
		}
	}
}

// scrapeNames are the metrics of a bridge to which everything has happened once.
func scrapeNames(t *testing.T) (names []string) {
	t.Helper()
	sims, path := sandboxed(t, nil)
	a := serving(t, path)
	a.metrics.Register(observe.NewLogQueue(io.Discard).Collector()) // as Serve does
	for _, body := range []string{demo.Envelope(sims[1].Taxpayer, sims[1].Success), "nonsense"} {
		if _, err := post(a.PublicURL()+"/einvoice", body); err != nil {
			t.Fatal(err)
		}
	}
	waits := bridge.Entry{Key: bridge.Key{Space: "irp/sandbox", Document: "waits"}, Taxpayer: sims[0].Taxpayer, Created: time.Now(), Expires: time.Now().Add(time.Hour)}
	if _, _, err := a.journal.Begin(t.Context(), bridge.Begin{Entry: waits}); err != nil {
		t.Fatal(err)
	}
	a.observer.Alarm(bridge.Alarm{Kind: bridge.AlarmJournal})
	a.observer.Answered(&bridge.CallReport{Unclassified: true, DateSource: bridge.DateEstimated})
	resp, err := http.Get(a.ConsoleURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "# HELP "); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	return names
}
