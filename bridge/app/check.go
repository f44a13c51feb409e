package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/journal"
	"einvoice-bridge/bridge/upstream"
)

// Inspection is what there is to say of a configuration.
type Inspection struct {
	Good bool
	// Lines name the place as compilers do, so that editors find it: problems or, where there are none, warnings and, last,
	// that the file is in order.
	Lines []string
	path  string
	plan  *plan // nil when the file can't be read as a configuration
}

// Inspect reads a file and builds everything that it asks for, alone. The error says that there is no such file.
func Inspect(path string) (Inspection, error) {
	f, err := config.Load(path, FileKinds)
	in := Inspection{path: path}
	var problems config.Problems
	if err == nil {
		quiet := slog.New(slog.DiscardHandler)
		in.plan, problems = newPlan(f, upstream.NewShared(noBudget{}, quiet), newcomers(nil))
	} else if !errors.As(err, &problems) {
		return in, err
	}
	if in.Good = len(problems) == 0; !in.Good {
		in.Lines = inWords(path, problems)
		return in, nil
	}
	for _, p := range byLine(append(in.plan.warnings, in.plan.listening...)) {
		in.Lines = append(in.Lines, fmt.Sprintf("%s:%d: warning: %s", path, p.Line, p.Text))
	}
	in.Lines = append(in.Lines, fmt.Sprintf("%s is in order: %s, %s, %s",
		path, some(len(f.Upstreams), "upstream"), some(len(f.Taxpayers), "taxpayer"), some(len(f.Callers), "caller")))
	return in, nil
}

// some is a number of things.
func some(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// Here says what would keep serve from starting on this machine, as far as can be told by looking at its disk and its
// addresses. The file may be meant for another machine, so these are warnings; who checks online wants them to be errors.
func (in Inspection) Here(ctx context.Context) (warnings []string) {
	if strings.HasPrefix(in.plan.file.Journal, "sqlite:") {
		if _, err := journal.Probe(ctx, in.plan.file.Journal); err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	for _, a := range addresses(in.plan.file) {
		host, _, err := net.SplitHostPort(a)
		if err != nil {
			continue // the loader has said so
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0")) // its own port may be a bridge's that runs
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s can't be listened on: %v", a, err))
			continue
		}
		_ = l.Close()
	}
	for i, w := range warnings {
		warnings[i] = fmt.Sprintf("%s: warning: on this machine serve would not start: %s", in.path, w)
	}
	return warnings
}

// addresses are all that serve listens on.
func addresses(f *config.File) (all []string) {
	for _, l := range f.Listen {
		all = append(all, l.Address)
	}
	if c := f.Console.Listen; c != "" && c != "off" {
		all = append(all, c)
	}
	return all
}

// Try does on this machine what serve would, as far as that disturbs no bridge that runs: it opens the journal, takes the
// addresses to listen on, and logs in to each upstream. What it finds goes to w.
func (in Inspection) Try(ctx context.Context, w io.Writer) (good bool) {
	served, good := tryJournal(ctx, w, in.plan.file)
	good = tryListeners(w, in.plan.file, served) && good
	return probe(ctx, w, in.plan.ups) && good
}

// tryJournal says whether the journal can be opened, and whether a bridge that runs has it.
func tryJournal(ctx context.Context, w io.Writer, f *config.File) (served, good bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	served, err := journal.Probe(ctx, f.Journal)
	switch {
	case err != nil:
		fmt.Fprintln(w, err)
	case served:
		fmt.Fprintf(w, "journal %s: a bridge serves with it\n", config.WithoutSecrets(f.Journal))
	default:
		fmt.Fprintf(w, "journal %s: can be opened\n", config.WithoutSecrets(f.Journal))
	}
	return served, err == nil
}

// tryListeners takes each address for a moment. That one is in use is right where a bridge runs with this journal, and can't
// be judged where several may.
func tryListeners(w io.Writer, f *config.File, served bool) bool {
	good := true
	for _, a := range addresses(f) {
		l, err := net.Listen("tcp", a)
		switch {
		case err == nil:
			_ = l.Close()
		case errors.Is(err, syscall.EADDRINUSE) && (served || !strings.HasPrefix(f.Journal, "sqlite:")):
			fmt.Fprintf(w, "%s is in use, by a bridge that runs if there is one\n", a)
		default:
			good = false
			fmt.Fprintf(w, "%s can't be listened on: %v\n", a, err)
		}
	}
	return good
}

// probe logs in once for each credential and says in words how it went.
func probe(ctx context.Context, w io.Writer, ups map[string]bridge.Upstream) bool {
	seen := map[string]bool{}
	good := true
	for _, taxpayer := range slices.Sorted(maps.Keys(ups)) {
		up := ups[taxpayer]
		p := up.Profile()
		if seen[p.Credential] {
			continue
		}
		seen[p.Credential] = true
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		err := up.Probe(ctx)
		cancel()
		if err != nil {
			good = false
			fmt.Fprintf(w, "%s (%s), taxpayer %s: %v\n", p.Name, p.Kind, taxpayer, err)
			continue
		}
		fmt.Fprintf(w, "%s (%s), taxpayer %s: logged in\n", p.Name, p.Kind, taxpayer)
	}
	return good
}

// noBudget lets everything pass: check makes one login per credential and keeps no journal.
type noBudget struct{}

// Take implements bridge.Budget.
func (noBudget) Take(context.Context, bridge.Rate, int64) (time.Time, time.Duration, error) {
	return time.Time{}, 0, nil
}

// Return implements bridge.Budget.
func (noBudget) Return(context.Context, bridge.Rate, time.Time) error { return nil }

// Shut implements bridge.Budget.
func (noBudget) Shut(context.Context, string, bridge.Gate) error { return nil }

// Gate implements bridge.Budget.
func (noBudget) Gate(context.Context, string) (bridge.Gate, bool, error) {
	return bridge.Gate{}, false, nil
}
