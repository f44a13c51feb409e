package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"einvoice-bridge/bridge/soap"
)

// leniency is one that a caller needs.
type leniency struct{ caller, name string }

// leniencies remembers which were logged.
type leniencies struct {
	mu   sync.Mutex
	told map[leniency]bool
}

func (l *leniencies) first(one leniency) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told[one] {
		return false
	}
	l.told[one] = true
	return true
}

// noteLeniencies logs once what each caller is forgiven, so that an operator sees who depends on it.
func (s *Desk) noteLeniencies(in *inbound, caller string, req *soap.Request) {
	for _, name := range req.Notes {
		if s.lenient.first(leniency{caller, name}) {
			s.opt.Log.LogAttrs(context.Background(), slog.LevelInfo, "caller depends on a leniency",
				slog.String("caller", caller), slog.String("leniency", name), slog.String("ref", in.ref))
		}
	}
}

// unplaced says which parameters were not found, and what came that could have been meant for them; it is empty when
// nothing is in doubt. Who calls need not be known for that: all of it is the caller's own. A token is not missed where
// something else tells who calls.
func (s *Desk) unplaced(in *inbound, req *soap.Request) string {
	text, names, came := missing(in, req)
	if text != "" {
		s.refused(in, RefusedSOAP, slog.String("why", "parameters are missing"), slog.String("operation", req.Operation),
			slog.String("missing", names), slog.String("found", came))
	}
	return text
}

// missing is unplaced without telling anybody.
func missing(in *inbound, req *soap.Request) (text, names, came string) {
	missing := req.Missing()
	if in.basic() || req.UsernameToken != nil {
		missing = slices.DeleteFunc(missing, func(p soap.Param) bool { return p.Slot == soap.SlotAccessToken })
	}
	if len(missing) == 0 {
		return "", "", ""
	}
	const most = 8
	var wanted, found []string
	for _, p := range missing {
		wanted = append(wanted, p.Name)
	}
	for _, name := range req.Unplaced[:min(most, len(req.Unplaced))] {
		found = append(found, short(name))
	}
	if more := len(req.Unplaced) - most; more > 0 {
		found = append(found, fmt.Sprintf("%d more", more))
	}
	names, came = strings.Join(wanted, ", "), strings.Join(found, ", ")
	return fmt.Sprintf("%s not found in the request; elements that are no parameters: %s", names, came), names, came
}
