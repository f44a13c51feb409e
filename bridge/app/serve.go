package app

import (
	"context"
	"io"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/observe"
)

// Serve is a process that does nothing else: it answers callers by the configuration at path until ctx ends, logs to out,
// and calls up as soon as it answers.
func Serve(ctx context.Context, path string, out io.Writer, version string, up func()) error {
	boundHeap()
	f, err := config.Load(path, FileKinds)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go; the bridge stays
	queue := observe.NewLogQueue(out)
	log := observe.NewLogger(queue, f.Log.Format, f.Log.Level)
	queue.Start(func(lost int64) { log.Warn("log lines were lost: nobody took them", "lines", lost) })
	defer queue.Close(observe.LogFlush)
	slog.SetDefault(log) // net/http's own complaints, too
	a, err := New(ctx, f, Process{Log: log, Version: version, Metrics: []prometheus.Collector{queue.Collector()}})
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return err
	}
	up()
	tidy()
	broke := a.Wait(ctx)
	if err := a.Stop(); broke == nil {
		broke = err
	}
	return broke
}
