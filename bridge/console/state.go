package console

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"einvoice-bridge/bridge"
)

// state is what the journal and the upstreams say of themselves, asked at each scrape.
type state struct {
	records   Records
	upstreams func(ctx context.Context) []Upstream
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	openDesc        = desc("einvoice_open", "Cancellations whose outcome is not known yet.")
	oldestDesc      = desc("einvoice_open_oldest_seconds", "Time since the first send of the oldest of them; 0 when there is none.")
	waitingDesc     = desc("einvoice_accepted", "Cancellations in the journal that wait their turn, all instances together.")
	expiryDesc      = desc("einvoice_accepted_expiry_seconds", "Time until the first of them is given up (carry_out_within); absent when none waits.")
	otherwiseDesc   = desc("einvoice_told_otherwise", "Cancellations whose truth differs from what a caller was last told.")
	instancesDesc   = desc("einvoice_instances", "Instances alive on this journal.")
	statsErrorDesc  = desc("einvoice_journal_unreadable", "1 when the journal could not be read for this scrape.")
	breakerDesc     = desc("einvoice_breakers_open", "Breakers that let nothing through, by upstream.", "upstream")
	tripsDesc       = desc("einvoice_breaker_trips_total", "How often a breaker has opened.", "upstream")
	sessionsDesc    = desc("einvoice_sessions", "Sessions held.", "upstream")
	sessionEndDesc  = desc("einvoice_session_seconds", "Time until the next session ends; absent when none is held.", "upstream")
	loginsDesc      = desc("einvoice_logins_total", "Logins that succeeded.", "upstream")
	loginsWrongDesc = desc("einvoice_logins_failed_total", "Logins that failed.", "upstream")
	heldDesc        = desc("einvoice_logins_held_seconds", "Time until logins that are needed and held back may be made; 0 while none is. Until then nothing can be carried out or looked up with these credentials.", "upstream")
	spoiltDesc      = desc("einvoice_sessions_spoilt_total", "Sealed sessions in the journal that were ignored because they had been tampered with.", "upstream")
	gateDesc        = desc("einvoice_gates_shut", "Doors that the authority shut: misconfigured (credentials refused) or not_applied (asked to wait).", "upstream", "class")
	budgetDesc      = desc("einvoice_budget_left", "Cancels that the authority's rate has room for now; absent where no rate is known.", "upstream")
	commitsDesc     = desc("einvoice_journal_commits_total", "Transactions of the journal.")
	writesDesc      = desc("einvoice_journal_writes_total", "Writes that shared these transactions; over commits: the batch size.")
	commitTimeDesc  = desc("einvoice_journal_commit_seconds_total", "Time that the transactions took; over commits: the latency of the disk.")
	allDescs        = []*prometheus.Desc{
		commitsDesc, writesDesc, commitTimeDesc,
		openDesc, oldestDesc, waitingDesc, expiryDesc, otherwiseDesc, instancesDesc, statsErrorDesc, breakerDesc, tripsDesc,
		sessionsDesc, sessionEndDesc, loginsDesc, loginsWrongDesc, heldDesc, spoiltDesc, gateDesc, budgetDesc,
	}
)

// Describe implements prometheus.Collector.
func (s state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range allDescs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	st, err := s.records.Stats(ctx)
	if err == nil {
		journalGauges(gauge, st)
	}
	gauge(statsErrorDesc, oneIf(err != nil))
	commits, writes, busy := s.records.Commits()
	counter(commitsDesc, float64(commits))
	counter(writesDesc, float64(writes))
	counter(commitTimeDesc, busy.Seconds())
	for _, u := range s.upstreams(ctx) {
		gauge(breakerDesc, float64(u.Open), u.Name)
		counter(tripsDesc, float64(u.Trips), u.Name)
		gauge(sessionsDesc, float64(u.Sessions), u.Name)
		if u.Sessions > 0 {
			gauge(sessionEndDesc, time.Until(u.SessionUntil).Seconds(), u.Name)
		}
		counter(loginsDesc, float64(u.Logins), u.Name)
		counter(loginsWrongDesc, float64(u.LoginsFailed), u.Name)
		gauge(heldDesc, max(0, time.Until(u.LoginsHeld).Seconds()), u.Name)
		counter(spoiltDesc, float64(u.SessionsSpoilt), u.Name)
		shut := map[bridge.Class]float64{}
		for _, g := range u.Gates {
			shut[g.Class]++
		}
		for _, c := range []bridge.Class{bridge.Misconfigured, bridge.NotApplied} {
			gauge(gateDesc, shut[c], u.Name, c.String())
		}
		if u.Rate.Limit > 0 {
			gauge(budgetDesc, float64(u.Left), u.Name)
		}
	}
}

func journalGauges(gauge func(*prometheus.Desc, float64, ...string), st bridge.Stats) {
	gauge(openDesc, float64(st.Open))
	age := 0.0
	if !st.OldestOpen.IsZero() {
		age = time.Since(st.OldestOpen).Seconds()
	}
	gauge(oldestDesc, age)
	gauge(waitingDesc, float64(st.Waiting))
	if !st.NextExpiry.IsZero() {
		gauge(expiryDesc, time.Until(st.NextExpiry).Seconds())
	}
	gauge(otherwiseDesc, float64(st.ToldOtherwise))
	gauge(instancesDesc, float64(len(st.Instances)))
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
