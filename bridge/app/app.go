package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/flow"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/bridge/rehearsal"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/upstream"
)

// App is a bridge at work: everything that serve and demo start and stop.
type App struct {
	Process
	plan     atomic.Pointer[plan] // that it works by
	lines    *observe.CallLog
	journal  *journal.Journal
	service  *flow.Service
	server   *server.Server
	console  *http.Server
	consoleL net.Listener // nil: no console
	metrics  *console.Metrics
	observer bridge.Observer
	ended    chan error
	working  context.Context // over when Stop begins
	halt     context.CancelFunc
	webhook  *observe.Webhook
	traces   *observe.Traces // nil: none
	recorder *rehearsal.Recorder
	upkeep   sync.WaitGroup

	hangups    chan os.Signal
	reloading  sync.Mutex
	lastReload atomic.Pointer[console.Reload]
}

// Process is what a bridge has of the process that it works in.
type Process struct {
	Log     *slog.Logger
	Version string                 // of the program
	Metrics []prometheus.Collector // of the process itself
}

// New wires a bridge together and binds its addresses. Nothing is answered before Start.
func New(ctx context.Context, f *config.File, in Process) (*App, error) {
	a := &App{Process: in, ended: make(chan error, 2), hangups: make(chan os.Signal, 1)}
	a.working, a.halt = context.WithCancel(context.Background())
	signal.Notify(a.hangups, syscall.SIGHUP)
	if err := a.wire(ctx, f); err != nil {
		a.release()
		return nil, err
	}
	return a, nil
}

// wire puts the parts together in the order of a call's way back: where it is written down, what carries it to the
// authority, who sees it, what decides, who answers, and the console beside them.
func (a *App) wire(ctx context.Context, f *config.File) (err error) {
	if a.journal, err = journal.Open(ctx, f.Journal, journal.Options{Settle: settleTime(f)}); err != nil {
		return err
	}
	a.recorder = rehearsal.NewRecorder(a.journal, a.Log)
	shared := upstream.NewShared(a.journal, a.Log)
	if key := f.SealKey(); key != nil {
		if err = shared.Seal(a.journal, key); err != nil {
			return err
		}
	}
	p, problems := newPlan(f, shared, newcomers(a.journal))
	if len(problems) > 0 {
		return problems
	}
	a.warn(p)
	if err = a.partEnvironments(ctx, p); err != nil {
		return err
	}
	if err = a.wireObservers(ctx, f); err != nil {
		return err
	}
	a.service = flow.New(a.journal, a.journal, a.observer, p.terms)
	a.equip(p)
	if a.server, err = server.New(p.options); err != nil {
		return err
	}
	a.metrics.Register(console.Pools(a.server.Pools), console.Crowd(a.server.Crowd))
	if err = a.server.Listen(); err != nil {
		return err
	}
	a.plan.Store(p)
	return a.bindConsole(f.Console)
}

// wireObservers makes everything that is told what happens: log, metrics, webhook and, where they are wanted, traces.
func (a *App) wireObservers(ctx context.Context, f *config.File) (err error) {
	spans := collector(f.Traces)
	spans.Version = a.Version
	if a.traces, err = observe.NewTraces(ctx, spans, a.Log); err != nil {
		return err
	}
	a.metrics = console.NewMetrics(func() bridge.Load { return a.service.Load() })
	a.metrics.Register(a.Metrics...)
	a.metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "einvoice_journal_log_bytes", Help: "Length of SQLite's log beside the journal; it grows while somebody reads an old state.",
	}, func() float64 { return float64(a.journal.LogBytes()) }))
	a.metrics.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "einvoice_rejected_unrecorded_total", Help: "Rejected calls that are not on the list of them: too many at once from one side, or the journal could not take them.",
	}, func() float64 { return float64(a.journal.Unrecorded()) }))
	a.webhook = observe.NewWebhook(f.Alarms.Webhook.Reveal(), a.Log)
	a.webhook.LinkTo(f.Console.PublicURL)
	a.lines = observe.NewCallLog(a.Log)
	a.lines.HashIDs(f.Log.IDs == "hashed")
	all := observe.Observers{a.lines, a.metrics, a.webhook}
	if a.traces != nil {
		a.metrics.Register(a.traces.Lost())
		all = append(all, observe.SpanNotes{CallLog: a.lines})
	}
	a.observer = all
	return nil
}

// equip gives a plan what it needs of the bridge that is to work by it.
func (a *App) equip(p *plan) {
	p.terms.Tracer = a.traces.Tracer()
	p.options.Canceller = &canceller{a.service, p.terms}
	p.options.Log, p.options.Tracer = a.Log, p.terms.Tracer
	p.options.Rehearsal = a.recorder
	p.options.Check = func(r bridge.Request) string { return a.service.Check(p.terms, r) }
	p.options.Ready = a.ready
	p.options.Refused = func(r server.Refusal) { a.metrics.Refused(string(r)) }
	p.options.Rejected = a.journal.Reject
	p.options.Recorded = func(ctx context.Context, taxpayer string) bool {
		entries, err := a.journal.List(ctx, bridge.Filter{Taxpayer: taxpayer, Limit: 1})
		return err != nil || len(entries) > 0
	}
	var refusals []string
	for _, r := range server.Refusals {
		refusals = append(refusals, string(r))
	}
	a.metrics.Expect(slices.Collect(maps.Keys(p.file.Upstreams)), refusals)
}

// canceller is the flow under one configuration's terms.
type canceller struct {
	service *flow.Service
	terms   *flow.Terms
}

// Cancel implements server.Canceller.
func (c *canceller) Cancel(r *bridge.Request) bridge.Answer { return c.service.Cancel(c.terms, r) }

// Recall implements server.Canceller.
func (c *canceller) Recall(r *bridge.Request) (bridge.Answer, bool) {
	return c.service.Recall(c.terms, r)
}

func (a *App) bindConsole(c config.Console) error {
	if c.Listen == "" || c.Listen == "off" {
		return nil
	}
	options, err := a.consoleOptions(c)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	if a.consoleL, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	a.console = console.NewServer(c.Listen, console.New(options))
	return nil
}

// ready tells a load balancer whether cancellations can be written down, and that this instance is about to stop.
func (a *App) ready(ctx context.Context) error {
	if a.stopping() {
		return errors.New("stopping")
	}
	if err := a.journal.Ping(ctx); err != nil {
		return fmt.Errorf("the journal can't be written: %w", err)
	}
	return nil
}

// Start takes up what the last run left and begins to answer.
func (a *App) Start() error {
	if err := a.service.Start(); err != nil {
		a.release()
		return err
	}
	go func() { a.ended <- a.server.Serve() }()
	if a.console != nil {
		go func() {
			if err := a.console.Serve(a.consoleL); !errors.Is(err, http.ErrServerClosed) {
				a.ended <- err
			}
		}()
	}
	a.upkeep.Go(a.keepUp)
	a.upkeep.Go(func() { a.watchJournal(watchEvery) })
	a.upkeep.Go(func() { giveBack(a.working) })
	a.upkeep.Go(func() { a.reloadAtHangups(a.hangups) })
	f := a.plan.Load().file
	a.Log.Info("einvoice-bridge serves", "version", a.Version, "wsdl", a.PublicURL()+server.Paths[0]+"?wsdl", "console", a.ConsoleURL(),
		"journal", config.WithoutSecrets(f.Journal), "upstreams", len(f.Upstreams), "taxpayers", len(f.Taxpayers), "callers", len(f.Callers))
	return nil
}

// Wait returns when ctx ends or a listener breaks.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.ended:
		return err
	}
}

// Stop ends in order: not ready any more, no new calls, what is in flight finished within the grace period, the rest
// left to the journal.
func (a *App) Stop() error {
	a.server.Drain()
	a.reloading.Lock()
	a.halt()
	a.reloading.Unlock()
	a.upkeep.Wait()
	f := a.plan.Load().file
	a.pause(f.Drain.D())
	ctx, cancel := context.WithTimeout(context.Background(), f.Grace.D()+time.Second)
	defer cancel()
	a.Log.Info("stopping: finishing what is in flight", "in_flight", a.service.Load().InFlight, "grace", f.Grace.D())
	served := make(chan error, 1)
	go func() { served <- a.server.Shutdown(ctx) }()
	err := errors.Join(a.service.Close(ctx), <-served)
	logOut(ctx, a.plan.Load().ups, a.Log)
	a.release()
	a.Log.Info("stopped")
	return err
}

// pause goes on answering until a load balancer has noticed that this instance is not ready any more: whoever closes
// the door first refuses the calls that the balancer still sends.
func (a *App) pause(drain time.Duration) {
	if drain > 0 {
		a.Log.Info("stopping: not ready any more, still answering", "drain", drain)
		time.Sleep(drain)
	}
}

// release closes what wire has opened.
func (a *App) release() {
	signal.Stop(a.hangups)
	a.halt()
	if a.console != nil {
		a.console.Close()
	} else if a.consoleL != nil {
		a.consoleL.Close()
	}
	if a.recorder != nil {
		a.recorder.Close()
	}
	if a.journal != nil {
		if err := a.journal.Close(); err != nil {
			a.Log.Error("closing the journal: " + err.Error())
		}
	}
	a.traces.Close(observe.TraceFlush)
	if a.webhook != nil {
		a.webhook.Close(5 * time.Second)
	}
}

// PublicURL is where callers reach it.
func (a *App) PublicURL() string { return a.server.PublicURL() }

// ConsoleURL is where operators reach it; empty without a console.
func (a *App) ConsoleURL() string {
	if a.consoleL == nil {
		return ""
	}
	return "http://" + a.consoleL.Addr().String()
}
