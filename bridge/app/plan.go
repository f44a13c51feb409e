package app

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/flow"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/upstream"
)

// plan is a configuration with everything that is built from it. Check looks at one, serve starts with one, and a
// reload puts one in the place of another.
type plan struct {
	file    *config.File
	read    time.Time
	shared  *upstream.Shared
	ups     map[string]bridge.Upstream // by taxpayer
	terms   *flow.Terms
	callers *access.Access
	options server.Options // of the SOAP side, but for what only the wiring has
	// warnings are about what works and had better be changed; those about listeners are logged where they are bound.
	warnings, listening config.Problems
	ends                []ending // of its secrets
}

// newPlan builds what a configuration asks for, with an eye to what the callers before may go on with. Nothing that
// works already is changed by it. All that is wrong comes at once.
func newPlan(f *config.File, shared *upstream.Shared, before *access.Access) (*plan, config.Problems) {
	p := &plan{file: f, read: time.Now(), shared: shared, ends: secrets(f)}
	var problems config.Problems
	p.ups, p.warnings, problems = buildUpstreams(f, shared)
	p.warnings = append(p.warnings, warnings(f, p.read)...)
	problems = append(problems, misplaced(f)...)
	var broken config.Problems
	p.listening, broken = checkListeners(f, p.read)
	problems = append(problems, broken...)
	p.terms = flowTerms(f)
	p.terms.Route = func(taxpayer string) (bridge.Upstream, bool) {
		up, ok := p.ups[taxpayer]
		return up, ok
	}
	var err error
	if p.callers, err = before.Next(accessConfig(f)); err != nil {
		problems = append(problems, config.Problem{Line: f.Line("callers"), Text: err.Error()})
	}
	if p.options, err = serverOptions(f); err != nil {
		return p, append(problems, config.Problem{Line: f.Line("contract"), Text: err.Error()})
	}
	if _, err = signIn(f.Console); err != nil {
		problems = append(problems, config.Problem{Line: f.Line("console.password"), Text: "console: " + err.Error()})
	}
	if t, err := observe.NewTraces(context.Background(), collector(f.Traces), slog.New(slog.DiscardHandler)); err != nil {
		problems = append(problems, config.Problem{Line: f.Line("traces"), Text: err.Error()})
	} else {
		t.Close(0)
	}
	p.options.Access, p.options.Canceller = p.callers, &canceller{terms: p.terms}
	p.options.Upstreams = slices.Collect(maps.Keys(f.Upstreams))
	p.options.Upstream = func(taxpayer string) (string, bool) {
		up, ok := p.ups[taxpayer]
		if !ok {
			return "", false
		}
		return up.Profile().Name, true
	}
	if _, err = server.New(p.options); err != nil {
		problems = append(problems, config.Problem{Line: f.Line("wsdl"), Text: err.Error()})
	}
	return p, problems
}

// newcomers knows no callers yet.
func newcomers(tokens bridge.Tokens) *access.Access {
	a, _ := access.New(access.Config{}, tokens) // nothing in it can be wrong
	return a
}

func byLine(ps config.Problems) config.Problems {
	return slices.SortedStableFunc(slices.Values(ps), func(a, b config.Problem) int { return a.Line - b.Line })
}
