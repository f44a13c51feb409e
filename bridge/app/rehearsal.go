package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/rehearsal"
)

// rehearsal is the report on what is recorded, for the configuration file as it is now.
func (a *App) rehearsal(ctx context.Context, since time.Time) (*rehearsal.Report, error) {
	path := a.plan.Load().file.Path()
	var data []byte
	if path != "" { // the demo has no file
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	report, _, err := Rehearsal(ctx, data, filepath.Dir(path), a.journal, since)
	return report, err
}

// SavedWSDL is the file beside the configuration that the provider's description is kept in.
const SavedWSDL = "provider.wsdl"

// Rehearsal reads what was recorded, and makes of a configuration file one whose answers are the provider's.
func Rehearsal(ctx context.Context, file []byte, dir string, j bridge.Rehearsals, since time.Time) (*rehearsal.Report, []byte, error) {
	all := func(do func(bridge.Rehearsed) error) error { return j.Rehearsed(ctx, since, do) }
	f, err := config.ParseAnswers(file, dir, os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	c, err := Contract(f)
	if err != nil {
		return nil, nil, err
	}
	report, err := rehearsal.Look(all, c)
	if err != nil {
		return nil, nil, err
	}
	proposed, err := propose(report, all, file, dir)
	if err != nil {
		return nil, nil, err
	}
	if report.WSDL == "" || f.WSDL.Saved != "" {
		return report, proposed, nil
	}
	return report, describe(report, proposed, dir), nil
}

// propose puts the report's lines into the file, and replays all calls under what that then says.
func propose(report *rehearsal.Report, all rehearsal.Source, file []byte, dir string) ([]byte, error) {
	if report.Lines == "" {
		return file, nil
	}
	proposed, err := config.Merge(file, []byte(report.Lines))
	if err != nil {
		return nil, err
	}
	f, err := config.ParseAnswers(proposed, dir, os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("with the derived lines: %w", err)
	}
	c, err := Contract(f)
	if err != nil { // such as a provider whose refusals have the words of a success
		report.Problem = err.Error()
		return file, nil
	}
	report.After, err = report.Replay(all, c)
	return proposed, err
}

// describe adds the provider's own description, for programs that load it when they start, where the answers stay what
// they are with it.
func describe(report *rehearsal.Report, proposed []byte, dir string) []byte {
	f, err := config.ParseAnswers(proposed, dir, os.LookupEnv)
	if err != nil {
		return proposed
	}
	without, err := Contract(f)
	if err != nil {
		return proposed
	}
	f.WSDL.Saved = strings.TrimRight(report.WSDL, "\r\n")
	with, err := Contract(f)
	if err != nil || !with.AnswersAs(without) {
		return proposed
	}
	const line = "wsdl:\n  saved: \"file:" + SavedWSDL + "\"\n"
	if merged, err := config.Merge(proposed, []byte(line)); err == nil {
		report.Lines += line
		return merged
	}
	return proposed
}
