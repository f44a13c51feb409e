package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/upstream"
)

// app is a bridge at work: everything that serve and demo start and stop.
type app struct {
	file     *config.File
	log      *slog.Logger
	journal  *journal.Journal
	service  *bridge.Service
	server   *server.Server
	shared   *upstream.Shared
	ups      map[string]bridge.Upstream // by taxpayer
	console  *http.Server
	consoleL net.Listener // nil: no console
	observe  bridge.Observer
	ended    chan error
	quit     chan struct{} // closed when stop begins
	webhook  *webhook      // nil: none
	traces   *traces       // nil: none
	upkeep   sync.WaitGroup
}

// newApp wires a bridge together and binds its addresses. Nothing is answered before run.
func newApp(ctx context.Context, f *config.File, log *slog.Logger) (*app, error) {
	a := &app{file: f, log: log, ended: make(chan error, 2), quit: make(chan struct{})}
	if err := a.wire(ctx); err != nil {
		a.release()
		return nil, err
	}
	return a, nil
}

func (a *app) wire(ctx context.Context) (err error) {
	f := a.file
	if a.journal, err = journal.Open(ctx, f.Journal, journal.Options{Settle: settleTime(f)}); err != nil {
		return err
	}
	for _, w := range warnings(f, time.Now()) {
		a.log.Warn(w.Text, "line", w.Line)
	}
	a.shared = upstream.NewShared(a.journal, a.log)
	var problems config.Problems
	a.ups, problems = buildUpstreams(f, a.shared, a.log)
	if len(problems) > 0 {
		return problems
	}
	if a.traces, err = newTraces(ctx, f.Traces, a.log); err != nil {
		return err
	}
	metrics := console.NewMetrics(func() bridge.Load { return a.service.Load() })
	lines := callLog{a.log, f.Log.IDs == "hashed"}
	observe := observers{lines, metrics}
	if a.traces != nil {
		metrics.Register(a.traces.collector())
		observe = append(observe, spanNotes{lines})
	}
	if f.Alarms.Webhook != "" {
		a.webhook = newWebhook(f.Alarms.Webhook, a.log)
		observe = append(observe, a.webhook)
	}
	a.observe = observe
	cfg := serviceConfig(f)
	cfg.Tracer = a.traces.tracer()
	a.service = bridge.NewService(cfg, a.traces.journalFor(a.journal), a.journal, func(taxpayer string) (bridge.Upstream, bool) {
		up, ok := a.ups[taxpayer]
		return up, ok
	}, a.observe)
	callers, err := access.New(accessConfig(f), a.journal)
	if err != nil {
		return err
	}
	options, err := serverOptions(f)
	if err != nil {
		return err
	}
	options.Access, options.Canceller, options.Log, options.Tracer = callers, a.service, a.log, a.traces.tracer()
	options.Refused = func(r server.Refusal) { metrics.Refused(string(r)) }
	if a.server, err = server.New(options); err != nil {
		return err
	}
	if err = a.server.Listen(); err != nil {
		return err
	}
	return a.bindConsole(metrics)
}

func (a *app) bindConsole(metrics *console.Metrics) (err error) {
	addr := a.file.Console.Listen
	if addr == "" || addr == "off" {
		return nil
	}
	options, err := a.consoleOptions(metrics)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	if a.consoleL, err = net.Listen("tcp", addr); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	a.console = console.NewServer(addr, console.New(options))
	return nil
}

// ready tells a load balancer whether cancellations can be written down, and that this instance is about to stop.
func (a *app) ready(ctx context.Context) error {
	select {
	case <-a.quit:
		return errors.New("stopping")
	default:
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
	a.log.Info("einvoice-bridge serves", "version", buildVersion(), "wsdl", a.wsdlURL(), "console", a.consoleURL(),
		"journal", withoutPassword(a.file.Journal), "upstreams", len(a.file.Upstreams), "taxpayers", len(a.file.Taxpayers), "callers", len(a.file.Callers))
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
	close(a.quit)
	a.upkeep.Wait()
	a.pause()
	ctx, cancel := context.WithTimeout(context.Background(), a.file.Grace.D()+time.Second)
	defer cancel()
	a.log.Info("stopping: finishing what is in flight", "in_flight", a.service.Load().InFlight, "grace", a.file.Grace.D())
	served := make(chan error, 1)
	go func() { served <- a.server.Shutdown(ctx) }()
	err := errors.Join(a.service.Close(ctx), <-served)
	logOut(ctx, a.ups, a.log)
	a.release()
	a.log.Info("stopped")
	return err
}

// pause goes on answering until a load balancer has noticed that this instance is not ready any more: whoever closes
// the door first refuses the calls that the balancer still sends.
func (a *app) pause() {
	if drain := a.file.Drain.D(); drain > 0 {
		a.log.Info("stopping: not ready any more, still answering", "drain", drain)
		time.Sleep(drain)
	}
}

// release closes what wire has opened.
func (a *app) release() {
	if a.console != nil {
		a.console.Close()
	} else if a.consoleL != nil {
		a.consoleL.Close()
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

// withoutPassword is a journal's DSN fit for a log line.
func withoutPassword(dsn string) string {
	if u, err := url.Parse(dsn); err == nil {
		return u.Redacted()
	}
	return "journal"
}
