package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"einvoice-bridge/bridge/soap"
)

// Forward relays what the bridge does not do itself (generating, fetching) to the provider, byte for byte.
type Forward struct {
	URL string // the provider's SOAP address
	// Tokens relays access_new_token too. A token that the provider then issues counts as that of the caller whose
	// login has the same user name and client id, until it expires.
	Tokens      bool
	Timeout     time.Duration // of one relayed call; 0: 60 s
	MaxRequest  int           // bytes; 0: 2 MiB. Invoices are larger than cancellations
	MaxResponse int           // bytes; 0: 4 MiB
	// Rehearse relays all that comes, cancellations too; see rehearse.go.
	Rehearse bool
}

// relay is a Forward at work.
type relay struct {
	Forward
	client *http.Client
	bytes  atomic.Int64 // of requests that are being relayed
	hop    string       // names this process to itself, should the provider's address lead back here
}

// relayedMost is how many bytes requests that are being relayed may hold.
const relayedMost = 64 << 20

// enter makes room for a request; leave must follow.
func (r *relay) enter(in *inbound) bool { return r.bytes.Add(int64(len(in.body))) <= relayedMost }

func (r *relay) leave(in *inbound) { r.bytes.Add(-int64(len(in.body))) }

// look decodes as far as the operation's name in requests of any size that may be relayed.
func (r *relay) look(d *soap.Decoder, in *inbound) *soap.Fault {
	wide := *d
	wide.Limits.BodyBytes, wide.Limits.InflatedBytes, wide.Limits.TranscodedBytes = r.MaxRequest, r.MaxRequest, 2*r.MaxRequest
	if _, err := wide.Decode(in.header, in.body); err != nil {
		return soap.AsFault(err)
	}
	return nil
}

func newRelay(f Forward) (*relay, error) {
	u, err := url.Parse(f.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("forward: the provider's address must be an absolute http or https URL")
	}
	if f.Rehearse {
		f.Timeout, f.MaxRequest, f.MaxResponse = rehearseTime, orElse(f.MaxRequest, rehearseBytes), orElse(f.MaxResponse, rehearseBytes)
	}
	f.Timeout = orElse(f.Timeout, 60*time.Second)
	f.MaxRequest = orElse(f.MaxRequest, 2<<20)
	f.MaxResponse = orElse(f.MaxResponse, 4<<20)
	return &relay{Forward: f, hop: rand.Text(), client: &http.Client{
		Timeout: f.Timeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableCompression: true, // what comes back goes on as it is
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// hopHeader lists the bridges that a relayed call has come through. One may stand behind another; none behind itself,
// where each call would take places until none is left.
const (
	hopHeader = "Einvoice-Bridge-Hop"
	hopsMost  = 3
)

// errNotSent marks a relayed call of which certainly nothing reached the provider.
var errNotSent = errors.New("not sent")

// forward relays a call whose operation is not ours. The answer, a fault included, goes back unchanged.
func (s *Desk) forward(in *inbound, v soap.Version) reply {
	in.is("forward") // the operation's name is the caller's and could be anything
	defer s.relay.leave(in)
	if !s.relay.enter(in) {
		return s.busy(in, s.voice(in, v), turnedAwayFor)
	}
	r, err := s.relay.send(in)
	if err != nil {
		return s.unreachable(in, v, err)
	}
	return r
}

func (s *Desk) unreachable(in *inbound, v soap.Version, err error) reply {
	s.refused(in, RefusedForward, slog.String("why", err.Error()))
	text := "The provider did not answer; whether it carried out the operation is not known."
	if errors.Is(err, errNotSent) {
		text = "The provider can't be reached; the operation was not carried out. Retry later."
	}
	return s.voice(in, v).fault(soap.ServerFault(text), 0)
}

// forwardLogin relays access_new_token and takes note of the token in the answer.
func (s *Desk) forwardLogin(in *inbound, req *soap.Request) reply {
	r, err := s.relay.send(in)
	if err != nil {
		return s.unreachable(in, req.Version, err)
	}
	got, err := s.opt.Decoder.DecodeReply(soap.Header{ContentType: r.contentType, ContentEncoding: r.encoding}, r.body)
	switch {
	case err != nil:
		s.opt.Log.Warn("the provider's token answer can't be read; its token is not known here", "ref", in.ref, "err", err.Error())
		return r
	case got.Fault != nil || got.Token.AccessToken == "":
		return r
	}
	if err := s.adopt(in, req, got.Token.AccessToken, time.Duration(got.Token.ExpiresIn)*time.Second); err != nil {
		s.refused(in, RefusedBusy, slog.String("why", err.Error()))
		return s.voice(in, req.Version).fault(soap.ServerFault("The bridge is busy; no token was issued. Retry later."), 5*time.Second)
	}
	return r
}

// adopt lets a token of the provider count here, if it is known whose it is.
func (s *Desk) adopt(in *inbound, req *soap.Request, token string, life time.Duration) error {
	if req.Moved { // the provider reads parameters by their place, and may have let in somebody else than we would read
		s.opt.Log.Warn("the provider issued a token to a login whose parameters don't stand in the documented order; it is not known here", "ref", in.ref, "from", in.from)
		return nil
	}
	caller, ok := s.opt.Access.Owner(req.Text(soap.SlotUsername), req.Text(soap.SlotClientID))
	if !ok {
		s.opt.Log.Warn("the provider issued a token to a login that is no caller's; it is not known here", "ref", in.ref, "from", in.from)
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), whoTime)
	defer cancel()
	if err := s.opt.Access.Adopt(ctx, caller, token, life); err != nil {
		return fmt.Errorf("%s: %w", caller, err)
	}
	s.opt.Log.Info("the provider's access token adopted", "ref", in.ref, "caller", caller, "from", in.from)
	return nil
}

// send carries one request over. The body is copied: the transport may still read it after an answer or an error.
func (r *relay) send(in *inbound) (reply, error) {
	if in.hops != "" && (strings.Contains(in.hops, r.hop) || strings.Count(in.hops, ",")+1 >= hopsMost) {
		return reply{}, fmt.Errorf("%w: forward.url leads back to a bridge; it must be the provider's own address", errNotSent)
	}
	ctx, span := in.beginSpan("relay")
	defer span.End()
	req, err := r.request(ctx, in)
	if err != nil {
		return reply{}, errNotSent
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{}, withoutURL(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(r.MaxResponse)+1))
	switch {
	case err != nil:
		return reply{}, fmt.Errorf("read the provider's answer: %w", withoutURL(err))
	case res.StatusCode >= 300 && res.StatusCode < 400 && !r.Rehearse:
		return reply{}, errors.New("the provider answered with a redirect; its address must be the final one")
	case len(body) > r.MaxResponse:
		return reply{}, fmt.Errorf("the provider's answer is over the limit of %d bytes", r.MaxResponse)
	}
	all := reply{
		status: res.StatusCode, contentType: res.Header.Get("Content-Type"), encoding: res.Header.Get("Content-Encoding"), body: body,
	}
	if r.Rehearse {
		var raw bytes.Buffer
		_ = res.Header.Write(&raw) // into memory
		all.fields = append([][2]string{}, endToEnd(raw.Bytes())...)
	}
	return all, nil
}

// request is what goes to the provider: of the headers those that are about the message, or all in a rehearsal.
func (r *relay) request(ctx context.Context, in *inbound) (*http.Request, error) {
	method, to := cmp.Or(in.method, http.MethodPost), r.URL
	if in.query != "" && !strings.Contains(to, "?") {
		to += "?" + in.query
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(bytes.Clone(in.body)))
	if err != nil {
		return nil, err
	}
	req.Header["User-Agent"] = []string{in.agent} // an empty one keeps net/http from saying its own
	spelled := map[string]string{}                // as the first of that name
	for _, f := range in.fields {
		name := http.CanonicalHeaderKey(f[0])
		if spelled[name] == "" {
			spelled[name] = f[0]
		}
		if name != "User-Agent" && name != hopHeader {
			req.Header[spelled[name]] = append(req.Header[spelled[name]], f[1])
		}
	}
	req.Header.Set(hopHeader, strings.TrimPrefix(in.hops+","+r.hop, ","))
	if r.Rehearse && in.fields != nil {
		return req, nil
	}
	for name, value := range map[string]string{
		"Content-Type": in.header.ContentType, "Content-Encoding": in.header.ContentEncoding, "SOAPAction": in.header.SOAPAction,
		"Accept": in.accept,
	} {
		if value != "" {
			req.Header[name] = []string{value}
		}
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	req.Header.Del("Tracestate") // is between the caller and whoever traces him
	return req, nil
}

// withoutURL keeps the provider's address, which may hold a key, out of logs, and marks what never left.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("%w: %w", errNotSent, err)
	}
	return err
}
