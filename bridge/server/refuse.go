package server

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/soap"
)

// Refusal is why a request did not reach the Canceller: a closed set, fit for a metric label.
type Refusal string

// The refusals.
const (
	RefusedHTTP     Refusal = "http"     // not found, wrong method, bad framing, too large, too slow
	RefusedSOAP     Refusal = "soap"     // no readable call of a known operation
	RefusedToken    Refusal = "token"    // nobody's token, login or password
	RefusedExpired  Refusal = "expired"  // an expired token
	RefusedTaxpayer Refusal = "taxpayer" // not this caller's taxpayer
	RefusedUnknown  Refusal = "unknown"  // a taxpayer that nobody has configured
	RefusedLogin    Refusal = "login"    // access_new_token said no
	RefusedBusy     Refusal = "busy"     // too many calls, or the journal could not be asked
	RefusedInternal Refusal = "internal" // a fault of our own
	RefusedForward  Refusal = "forward"  // the provider could not be reached
)

// Refusals are all of them.
var Refusals = []Refusal{RefusedHTTP, RefusedSOAP, RefusedToken, RefusedExpired, RefusedTaxpayer, RefusedUnknown, RefusedLogin, RefusedBusy, RefusedInternal, RefusedForward}

// refused counts and logs one refusal, and puts it on record. The attributes hold no body, token or password; slog quotes what is odd.
func (s *Desk) refused(in *inbound, kind Refusal, attrs ...slog.Attr) {
	s.opt.Refused(kind)
	in.note("einvoice.refused", string(kind))
	s.record(in, kind, attrs)
	all := append([]slog.Attr{
		slog.String("kind", string(kind)), slog.String("ref", in.ref), slog.String("from", in.from.String()),
		slog.String("path", short(in.path)),
	}, attrs...)
	all = append(all, certificateAttrs(in.certificate())...)
	s.opt.Log.LogAttrs(context.Background(), slog.LevelWarn, "request refused", all...)
}

// fault answers a request that could not be read as a call.
func (s *Desk) fault(in *inbound, f *soap.Fault) reply {
	kind := RefusedSOAP
	switch {
	case f.HTTPStatus != 0:
		kind = RefusedHTTP
	case f.Code == soap.Server:
		kind = RefusedInternal
	}
	attrs := []slog.Attr{slog.String("why", f.Text)}
	if f.Found != "" {
		attrs = append(attrs, slog.String("found", shortTo(f.Found, 256)))
	}
	for _, name := range f.NotUnderstood {
		attrs = append(attrs, slog.String("header", shortTo("{"+name.Space+"}"+name.Local, 256)))
	}
	s.refused(in, kind, attrs...)
	v := s.voice(in, f.Version)
	v.addressing = related(f.Addressing)
	return v.fault(f, 0)
}

// busy answers a request that can't be served now.
func (s *Desk) busy(in *inbound, v *voice, wait time.Duration, attrs ...slog.Attr) reply {
	s.refused(in, RefusedBusy, attrs...)
	return v.reply(bridge.Answer{Fault: bridge.FaultBusy, RetryAfter: wait})
}

// httpFault is the fault of an HTTP status. Its text is ours: what the engine says may hold pieces of the request.
func (s *Desk) httpFault(status int) *soap.Fault {
	switch status {
	case http.StatusNotFound:
		return soap.HTTPFault(status, "There is no service at this address; SOAP calls go to "+strings.Join(Paths, " or "))
	case http.StatusMethodNotAllowed:
		return soap.HTTPFault(status, "Method not allowed; SOAP calls are POST requests, the WSDL is a GET of ?wsdl")
	case http.StatusRequestTimeout:
		return soap.HTTPFault(status, "The request took too long to arrive")
	case http.StatusRequestEntityTooLarge:
		limit := strconv.Itoa(s.bodyLimit())
		return soap.HTTPFault(status, "Limit max_body_bytes ("+limit+") exceeded at byte "+limit)
	case http.StatusUnsupportedMediaType:
		return soap.HTTPFault(status, "This address takes the service page's form only")
	case http.StatusExpectationFailed:
		return soap.HTTPFault(status, "The only expectation that can be met is 100-continue")
	case http.StatusRequestHeaderFieldsTooLarge:
		return soap.HTTPFault(status, "Limit max_header_bytes ("+strconv.Itoa(headerLimit)+") exceeded")
	case http.StatusHTTPVersionNotSupported:
		f := soap.HTTPFault(status, "HTTP/1.0 and HTTP/1.1 are spoken here")
		f.Code = soap.Client
		return f
	case http.StatusInternalServerError:
		return soap.ServerFault("Internal error; if this was a cancellation, its outcome is unknown. Sending the same request again is safe.")
	}
	return soap.HTTPFault(http.StatusBadRequest, "The HTTP request is malformed")
}

// short makes what a stranger sent fit for a log line: not long, and nothing that a terminal would obey.
func short(s string) string { return shortTo(s, 64) }

func shortTo(s string, most int) string {
	more := ""
	if len(s) > most {
		s, more = s[:most], "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s) + more
}
