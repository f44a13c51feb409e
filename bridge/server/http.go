package server

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"einvoice-bridge/bridge/soap"
)

// headerLimit bounds request line and headers; WCF and Kerberos send more than the engine's 4 KiB.
const headerLimit = 16 << 10

// refKey is where a request's id stands in Fiber's locals.
type refKey struct{}

// newApp sets the engine up. What it must not do: inflate bodies (c.Body), parse forms, believe headers about who is
// calling, say its own error texts, or keep strings that it uses again.
func (s *Server) newApp() *fiber.App {
	app := fiber.New(fiber.Config{
		ReadTimeout: s.opt.ReadTimeout, WriteTimeout: s.opt.WriteTimeout, IdleTimeout: s.opt.IdleTimeout,
		ReadBufferSize: headerLimit, BodyLimit: s.bodyLimit(),
		// An idle connection costs no buffers, and counts as idle until its first byte.
		ReduceMemoryUsage: true,
		Immutable:         true, DisablePreParseMultipartForm: true,
		EnableTrustedProxyCheck: true, // with no proxy listed: c.IP and the like believe no header; see Server.remote
		DisableStartupMessage:   true, ErrorHandler: s.fail,
	})
	app.Use(s.front)
	for _, path := range Paths {
		app.Post(path, s.post)
		app.Get(path, s.get(path))
	}
	app.Get("/wsdl/:name", s.getWSDL)
	app.Post(tryPath, s.try)
	handler := app.Handler()
	app.Server().CloseOnShutdown = true
	app.Server().Handler = func(rc *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(rc.Method())) {
			handler(rc)
			return
		}
		// Fiber would answer an unheard-of method in plain text.
		c := app.AcquireCtx(rc)
		defer app.ReleaseCtx(c)
		_ = s.fail(c, fiber.ErrMethodNotAllowed)
	}
	return app
}

func (s *Server) bodyLimit() int {
	if s.relay != nil {
		return max(s.relay.MaxRequest, s.opt.Decoder.Limits.BodyBytes)
	}
	return s.opt.Decoder.Limits.BodyBytes
}

// front comes first: it names the request, catches panics and refuses ambiguous framing.
func (s *Server) front(c *fiber.Ctx) (err error) {
	ref := uuid.Must(uuid.NewV7()).String()
	c.Locals(refKey{}, ref)
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

func (s *Server) post(c *fiber.Ctx) error { return s.send(c, s.answer(s.inbound(c))) }

// inbound copies what is needed out of the engine's buffers.
func (s *Server) inbound(c *fiber.Ctx) inbound {
	ref, _ := c.Locals(refKey{}).(string)
	if ref == "" { // the engine refused the request before front saw it
		ref = uuid.Must(uuid.NewV7()).String()
		c.Locals(refKey{}, ref)
	}
	h := func(name string) string { return strings.Clone(c.Get(name)) }
	return inbound{
		ref: ref, path: strings.Clone(c.Path()),
		from: s.remote(c), received: time.Now(),
		header:        soap.Header{ContentType: h("Content-Type"), ContentEncoding: h("Content-Encoding"), SOAPAction: h("SOAPAction")},
		authorization: h("Authorization"), accept: h("Accept"), agent: h("User-Agent"),
		tls:  c.Context().TLSConnectionState(),
		body: c.Request().Body(),
	}
}

// remote is who sent the request: the socket's other end or, behind a trusted proxy, the last address in
// X-Forwarded-For that no trusted proxy of ours stands for. What stands before it may be made up.
func (s *Server) remote(c *fiber.Ctx) netip.Addr {
	addr, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	addr = addr.Unmap()
	hops := strings.Split(c.Get("X-Forwarded-For"), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

func (s *Server) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func (s *Server) send(c *fiber.Ctx, r reply) error {
	if ref, ok := c.Locals(refKey{}).(string); ok {
		c.Set("X-Request-Id", ref)
	}
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

// fail answers everything that went wrong in HTTP, in the engine's parser or in the router, with a fault.
func (s *Server) fail(c *fiber.Ctx, err error) error {
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
	f.Version = guessVersion(in.header.ContentType)
	if status == http.StatusInternalServerError && !errors.Is(err, fiber.ErrInternalServerError) {
		s.opt.Log.LogAttrs(c.Context(), slog.LevelError, "request failed", slog.String("ref", in.ref), slog.String("err", err.Error()))
	}
	return s.send(c, s.fault(in, f))
}
