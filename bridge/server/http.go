package server

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"einvoice-bridge/bridge/soap"
)

// headerLimit bounds request line and headers; WCF and Kerberos send more than the engine's 4 KiB.
const headerLimit = 16 << 10

// newApp sets the engine up. What it must not do: inflate bodies (c.Body), parse forms, believe headers about who is
// calling, or say its own error texts. The strings that it hands out are good until the answer is there; inbound copies.
func (s *Server) newApp(o Options) *fiber.App {
	fail := func(c *fiber.Ctx, err error) error { return s.desk.Load().fail(c, err) }
	app := fiber.New(fiber.Config{
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, IdleTimeout: o.IdleTimeout, ReadBufferSize: headerLimit,
		// An idle connection costs no buffers but plainConn's, and counts as idle until its first byte.
		ReduceMemoryUsage:            true,
		DisablePreParseMultipartForm: true,
		EnableTrustedProxyCheck:      true, // with no proxy listed: c.IP and the like believe no header; see Server.remote
		DisableStartupMessage:        true, ErrorHandler: fail,
	})
	app.Use(s.at((*Desk).front))
	for _, path := range Paths {
		for _, spelled := range []string{path, "/" + path} { // or a base address with a slash, and the path put behind it
			app.Post(spelled, s.at((*Desk).post))
			app.Get(spelled, s.at((*Desk).get))
		}
	}
	app.Get("/", s.at((*Desk).home))
	app.Options("/", s.at((*Desk).healthz)) // what HAProxy asks when it is told no address
	app.Get(healthPath, s.at((*Desk).healthz))
	app.Options(healthPath, s.at((*Desk).healthz))
	app.Get("/wsdl/:name", s.at((*Desk).getWSDL))
	app.Post(tryPath, s.at((*Desk).try))
	handler := app.Handler()
	app.Server().CloseOnShutdown = true
	app.Server().HeaderReceived = func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
		return fasthttp.RequestConfig{MaxRequestBodySize: s.desk.Load().bodyLimit()}
	}
	app.Server().Handler = func(rc *fasthttp.RequestCtx) {
		w := wireOf(rc.Conn())
		w.arrived()
		if slices.Contains(fiber.DefaultMethods, string(rc.Method())) {
			handler(rc)
		} else { // Fiber would answer an unheard-of method in plain text
			c := app.AcquireCtx(rc)
			_ = fail(c, fiber.ErrMethodNotAllowed)
			app.ReleaseCtx(c)
		}
		w.ref = ""
	}
	return app
}

// at has a request handled at the desk that is open when it comes.
func (s *Server) at(h func(*Desk, *fiber.Ctx) error) fiber.Handler {
	return func(c *fiber.Ctx) error { return h(s.desk.Load(), c) }
}

func (s *Desk) bodyLimit() int {
	if s.relay != nil {
		return max(s.relay.MaxRequest, s.opt.Decoder.Limits.BodyBytes)
	}
	return s.opt.Decoder.Limits.BodyBytes
}

// front comes first: it names the request, catches panics and refuses ambiguous framing.
func (s *Desk) front(c *fiber.Ctx) (err error) {
	ref := wireOf(c.Context().Conn()).name()
	defer func() {
		if p := recover(); p != nil {
			s.opt.Log.Error("panic while answering a request", "ref", ref, "panic", p, "stack", string(debug.Stack()))
			c.Context().SetConnectionClose()
			err = fiber.ErrInternalServerError
		}
	}()
	if s.draining.Load() {
		c.Context().SetConnectionClose()
	}
	if status := framing(&c.Request().Header); status != 0 {
		c.Context().SetConnectionClose() // where the next request would begin is anybody's guess
		return fiber.NewError(status)
	}
	return c.Next()
}

func (s *Desk) post(c *fiber.Ctx) error { return s.send(c, s.traced(c, s.inbound(c))) }

// inbound copies what is needed out of the engine's buffers.
func (s *Desk) inbound(c *fiber.Ctx) *inbound {
	h := func(name string) string { return strings.Clone(c.Get(name)) }
	w := wireOf(c.Context().Conn())
	in := &inbound{
		ref: w.name(), path: strings.Clone(c.Path()), wire: w,
		from: s.remote(c), received: time.Now(),
		header:        soap.Header{ContentType: contentTypes(c.Request().Header.RawHeaders()), ContentEncoding: h("Content-Encoding"), SOAPAction: h("SOAPAction")},
		authorization: h("Authorization"), accept: h("Accept"), agent: h("User-Agent"), hops: h(hopHeader),
		tls:  c.Context().TLSConnectionState(),
		body: c.Request().Body(), engine: c.Request(),
	}
	if s.rehearsing() {
		in.fields, in.query = endToEnd(c.Request().Header.RawHeaders()), string(c.Request().URI().QueryString())
	}
	return in
}

// remote is who sent the request: the socket's other end or, behind a trusted proxy, the last address in
// X-Forwarded-For that no trusted proxy of ours stands for. What stands before it may be made up.
func (s *Desk) remote(c *fiber.Ctx) netip.Addr {
	addr, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	if addr = addr.Unmap(); !s.trusts(addr) {
		return addr
	}
	lines := c.Request().Header.PeekAll("X-Forwarded-For") // a proxy may add a line of its own (HAProxy's forwardfor)
	hops := strings.Split(string(bytes.Join(lines, []byte(","))), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

func (s *Desk) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (s *Desk) send(c *fiber.Ctx, r reply) error {
	switch {
	case r.hangUp:
		c.Context().HijackSetNoResponse(true)
		c.Context().Hijack(func(net.Conn) {}) // it is closed then
		return nil
	case r.fields != nil:
		return sendAsItCame(c, r)
	}
	c.Set("X-Request-Id", wireOf(c.Context().Conn()).name())
	if r.retryAfter > 0 {
		c.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.retryAfter.Seconds()))))
	}
	if r.encoding != "" {
		c.Set("Content-Encoding", r.encoding)
	}
	c.Status(r.status)
	c.Response().Header.SetContentType(r.contentType)
	c.Response().SetBodyRaw(r.body)
	return nil
}

// sendAsItCame sends an answer of the provider with its own headers and none of ours.
func sendAsItCame(c *fiber.Ctx, r reply) error {
	h := &c.Response().Header
	h.SetNoDefaultContentType(true)
	for _, f := range r.fields {
		h.Add(f[0], f[1])
	}
	c.Status(r.status)
	c.Response().SetBodyRaw(r.body)
	return nil
}

// fail answers everything that went wrong in HTTP, in the engine's parser or in the router, with a fault.
func (s *Desk) fail(c *fiber.Ctx, err error) error {
	status := http.StatusInternalServerError
	var e *fiber.Error
	if errors.As(err, &e) {
		status = e.Code
	}
	if status == http.StatusMethodNotAllowed && c.GetRespHeader("Allow") == "" {
		c.Set("Allow", "GET, HEAD, POST")
	}
	in := s.inbound(c)
	f := s.httpFault(status)
	in.wire.lingers.Store(true) // most of these are told while the caller is still sending
	f.Version = soap.GuessVersion(in.header.ContentType)
	if in.wire.out.Load() && status == http.StatusRequestTimeout {
		return s.send(c, s.busy(in, s.voice(in, f.Version), turnedAwayFor, slog.String("why", "too much was unfinished")))
	}
	if in.wire.heads.bare {
		f.Text += ": a line of its header ends in LF alone; HTTP wants CR LF"
	}
	if status == http.StatusInternalServerError && !errors.Is(err, fiber.ErrInternalServerError) {
		s.opt.Log.LogAttrs(c.Context(), slog.LevelError, "request failed", slog.String("ref", in.ref), slog.String("err", err.Error()))
	}
	return s.send(c, s.fault(in, f))
}
