package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/observe"
)

// runAsService serves under Windows' Service Control Manager, if that has started this process; otherwise it says
// false at once. A service starts in Windows' own folder and has no standard error: it moves to the configuration's
// folder, and everything that would be written to standard error, a crash of the program included, goes to a file.
func runAsService(path, logPath string) (bool, error) {
	if !filepath.IsAbs(path) {
		program, err := os.Executable()
		if err != nil {
			return false, err
		}
		path = filepath.Join(filepath.Dir(program), path)
	}
	err := svc.Run("", &service{path: path, logPath: cmp.Or(logPath, config.Beside(path, ".log"))})
	if errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) {
		return false, nil
	}
	return true, err
}

// service is serve as the Service Control Manager sees it.
type service struct {
	path, logPath string
}

// Execute implements svc.Handler: it says where start and stop are at least every second, so that Windows waits for a
// long migration of the journal and for what is in flight. The signals of a console don't end a service: Windows sends
// one whenever somebody logs off.
func (s *service) Execute(args []string, requests <-chan svc.ChangeRequest, states chan<- svc.Status) (bool, uint32) {
	state := svc.Status{State: svc.StartPending, WaitHint: 10_000}
	states <- state
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	up, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() { ended <- s.serve(ctx, func() { up <- struct{}{} }) }()
	alive := time.NewTicker(time.Second)
	defer alive.Stop()
	for {
		select {
		case <-up:
			state = svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptPreShutdown}
			states <- state
		case r := <-requests:
			if r.Cmd == svc.Stop || r.Cmd == svc.PreShutdown {
				state = svc.Status{State: svc.StopPending, WaitHint: 10_000}
				stop()
			}
			states <- state
		case <-alive.C:
			if state.State != svc.Running {
				state.CheckPoint++
				states <- state
			}
		case err := <-ended:
			if err == nil {
				return false, 0
			}
			report(args[0], err)
			return true, 1
		}
	}
}

func (s *service) serve(ctx context.Context, up func()) error {
	if err := os.Chdir(filepath.Dir(s.path)); err != nil {
		return err
	}
	log, err := observe.OpenLogFile(s.logPath, func(f *os.File) {
		os.Stderr = f
		_ = windows.SetStdHandle(windows.STD_ERROR_HANDLE, windows.Handle(f.Fd()))
	})
	if err != nil {
		return err
	}
	defer log.Close()
	if _, err = config.LoadEnvironment(config.Beside(s.path, ".env")); err == nil {
		err = app.Serve(ctx, s.path, log, buildVersion(), up)
	}
	if err != nil {
		fmt.Fprintf(log, "%s einvoice-bridge: %v\n", time.Now().UTC().Format(time.RFC3339), err)
	}
	return err
}

// report puts the reason why a service ended into Windows' event log, where its administrators look first.
func report(source string, err error) {
	if l, openErr := eventlog.Open(source); openErr == nil {
		_ = l.Error(1, strings.ReplaceAll(err.Error(), "\n", "\r\n"))
		_ = l.Close()
	}
}
