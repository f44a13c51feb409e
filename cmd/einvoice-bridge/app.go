package main

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
	"einvoice-bridge/bridge/rehearsal"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/upstream"
)

// app is a bridge at work: everything that serve and demo start and stop.
type app struct {
	plan     atomic.Pointer[plan] // that it works by
	log      *slog.Logger
	hashed   atomic.Bool // document ids in log lines
	journal  *journal.Journal
	service  *flow.Service
	server   *server.Server
	console  *http.Server
	consoleL net.Listener // nil: no console
	metrics  *console.Metrics
	observe  bridge.Observer
	ended    chan error
	working  context.Context // over when stop begins
	halt     context.CancelFunc
	webhook  *webhook
	traces   *traces // nil: none
	recorder *rehearsal.Recorder
	upkeep   sync.WaitGroup

	hangups    chan os.Signal
	reloading  sync.Mutex
	lastReload atomic.Pointer[console.Reload]
}

// newApp wires a bridge together and binds its addresses. Nothing is answered before run.
func newApp(ctx context.Context, f *config.File, log *slog.Logger) (*app, error) {
	a := &app{log: log, ended: make(chan error, 2), hangups: make(chan os.Signal, 1)}
	a.working, a.halt = context.WithCancel(context.Background())
	signal.Notify(a.hangups, syscall.SIGHUP)
	if err := a.wire(ctx, f); err != nil {
		a.release()
		return nil, err
	}
	return a, nil
}

func (a *app) wire(ctx context.Context, f *config.File) (err error) {
	if a.journal, err = journal.Open(ctx, f.Journal, journal.Options{Settle: settleTime(f)}); err != nil {
		return err
	}
	a.recorder = rehearsal.NewRecorder(a.journal, a.log)
	shared := upstream.NewShared(a.journal, a.log)
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
	if a.traces, err = newTraces(ctx, f.Traces, a.log); err != nil {
		return err
	}
	a.metrics = console.NewMetrics(func() bridge.Load { return a.service.Load() })
	a.metrics.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "einvoice_journal_log_bytes", Help: "Length of SQLite's log beside the journal; it grows while somebody reads an old state.",
	}, func() float64 { return float64(a.journal.LogBytes()) }))
	a.webhook = newWebhook(f.Alarms.Webhook.Reveal(), a.log)
	a.hashed.Store(f.Log.IDs == "hashed")
	lines := callLog{a.log, &a.hashed}
	observe := observers{lines, a.metrics, a.webhook}
	if a.traces != nil {
		a.metrics.Register(a.traces.collector())
		observe = append(observe, spanNotes{lines})
	}
	a.observe = observe
	a.service = flow.New(a.journal, a.journal, a.observe, p.terms)
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

// equip gives a plan what it needs of the bridge that is to work by it.
func (a *app) equip(p *plan) {
	p.terms.Tracer = a.traces.tracer()
	p.options.Canceller = canceller{a.service, p.terms}
	p.options.Log, p.options.Tracer = a.log, p.terms.Tracer
	p.options.Rehearsal = a.recorder
	p.options.Check = func(r bridge.Request) string { return a.service.Check(p.terms, r) }
	p.options.Refused = func(r server.Refusal) { a.metrics.Refused(string(r)) }
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
func (c canceller) Cancel(r bridge.Request) bridge.Answer { return c.service.Cancel(c.terms, r) }

// Recall implements server.Canceller.
func (c canceller) Recall(r bridge.Request) (bridge.Answer, bool) {
	return c.service.Recall(c.terms, r)
}

func (a *app) bindConsole(c config.Console) error {
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
func (a *app) ready(ctx context.Context) error {
	if a.stopping() {
		return errors.New("stopping")
	}
	if err := a.journal.Ping(ctx); err != nil {
		return fmt.Errorf("the journal can't be written: %w", err)
	}
	return nil
}

// start takes up what the last run left and begins to answer.
func (a *app) start() error {
	if err := a.service.Start(); err != nil {
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
	a.upkeep.Go(func() { a.obey(a.hangups) })
	f := a.plan.Load().file
	a.log.Info("einvoice-bridge serves", "version", buildVersion(), "wsdl", a.wsdlURL(), "console", a.consoleURL(),
		"journal", address(f.Journal), "upstreams", len(f.Upstreams), "taxpayers", len(f.Taxpayers), "callers", len(f.Callers))
	return nil
}

// wait returns when ctx ends or a listener breaks.
func (a *app) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.ended:
		return err
	}
}

// stop ends in order: not ready any more, no new calls, what is in flight finished within the grace period, the rest
// left to the journal.
func (a *app) stop() error {
	a.server.Drain()
	a.reloading.Lock()
	a.halt()
	a.reloading.Unlock()
	a.upkeep.Wait()
	f := a.plan.Load().file
	a.pause(f.Drain.D())
	ctx, cancel := context.WithTimeout(context.Background(), f.Grace.D()+time.Second)
	defer cancel()
	a.log.Info("stopping: finishing what is in flight", "in_flight", a.service.Load().InFlight, "grace", f.Grace.D())
	served := make(chan error, 1)
	go func() { served <- a.server.Shutdown(ctx) }()
	err := errors.Join(a.service.Close(ctx), <-served)
	logOut(ctx, a.plan.Load().ups, a.log)
	a.release()
	a.log.Info("stopped")
	return err
}

// pause goes on answering until a load balancer has noticed that this instance is not ready any more: whoever closes
// the door first refuses the calls that the balancer still sends.
func (a *app) pause(drain time.Duration) {
	if drain > 0 {
		a.log.Info("stopping: not ready any more, still answering", "drain", drain)
		time.Sleep(drain)
	}
}

// release closes what wire has opened.
func (a *app) release() {
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
			a.log.Error("closing the journal: " + err.Error())
		}
	}
	a.traces.close(traceFlush)
	if a.webhook != nil {
		a.webhook.close(5 * time.Second)
	}
}

func (a *app) wsdlURL() string { return a.server.PublicURL() + server.Paths[0] + "?wsdl" }

func (a *app) consoleURL() string {
	if a.consoleL == nil {
		return ""
	}
	return "http://" + a.consoleL.Addr().String()
}
