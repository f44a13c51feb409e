package server

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/soap"
)

// tryPath is where the page's form goes.
const tryPath = "/einvoice/try"

//go:embed page
var pageFiles embed.FS

var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/page.html"))

// page is the service's page for people. It runs no script and loads nothing.
type page struct {
	plain []byte // as a GET gets it
	csp   string
	data  pageData
}

type pageData struct {
	Style      template.CSS
	Addresses  []string
	Operations []soap.Operation
	Flavours   []flavourLink
	Samples    []sample
	Faults     []faultText
	Try        string
	Reasons    []bridge.Reason
	Form       map[string]string // what was typed, the token left out
	Fields     []formField       // none: the form is not shown
	Sent       string            // by the form; empty on the plain page
	Status     int
	Answer     string
	Took       time.Duration
}

type flavourLink struct{ Name, Path, For string }

type sample struct {
	Version soap.Version
	Header  soap.Header
	Body    string
}

type faultText struct{ Text, Meaning string }

type formField struct{ Slot, Label, Hint string }

var flavourFor = map[string]string{
	"document":          "every tool; start here",
	"document-sequence": "tools that dislike xsd:all",
	"rpc-literal":       "callers that were made for the provider's own service",
	"rpc-encoded":       ".NET 1.x and 2.0, Delphi 7, soap4r, Tcl",
	"document-soap12":   "callers that want a SOAP 1.2 port",
	saved:               "callers made from the description that this operator keeps",
}

var faultTexts = []faultText{
	{bridge.FaultWaiting, "It is written down and will be carried out. Ask again for the outcome."},
	{bridge.FaultBusy, "What became of earlier calls for the document is another question. Ask again after the time in Retry-After."},
	{bridge.FaultNotApplied, "The authority certainly did not carry it out."},
	{bridge.FaultUnknown, "The bridge goes on finding out. Ask again for the outcome."},
	{bridge.FaultMisconfigured, "Sending again won't help until the operator has acted."},
}

var formFields = []formField{
	{soap.SlotAccessToken, "access_token", "from access_new_token or the operator"},
	{soap.SlotUserGSTIN, "user_gstin", "GSTIN or TIN of the taxpayer"},
	{soap.SlotIRN, "irn", "IRN or document id"},
	{soap.SlotCancelReason, "cancel_reason", "the authority is told its number or its words"},
	{soap.SlotCancelRemarks, "cancel_remarks", "may be empty"},
}

func (s *Desk) newPage() (*page, error) {
	style, err := pageFiles.ReadFile("page/style.css")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(style)
	p := &page{csp: "default-src 'none'; img-src data:; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"}
	p.data = pageData{
		Style: template.CSS(style), Operations: []soap.Operation{s.opt.Contract.Token, s.opt.Contract.Cancel},
		Samples: s.samples(), Faults: faultTexts, Try: strings.TrimPrefix(tryPath, "/"),
		Reasons: []bridge.Reason{bridge.Duplicate, bridge.DataEntry, bridge.OrderCancelled, bridge.Others},
	}
	if s.opt.Form {
		p.data.Fields = formFields
	}
	for _, path := range Paths {
		p.data.Addresses = append(p.data.Addresses, s.publicURL+path)
	}
	for _, name := range s.flavours() {
		p.data.Flavours = append(p.data.Flavours, flavourLink{name, "wsdl/" + name + ".wsdl", flavourFor[name]})
	}
	p.plain, err = p.data.html()
	return p, err
}

func (d pageData) html() ([]byte, error) {
	var b bytes.Buffer
	err := pageTemplate.ExecuteTemplate(&b, "page.html", d)
	return b.Bytes(), err
}

// samples are calls of eInvoiceCancel with the values of the provider's documentation.
func (s *Desk) samples() []sample {
	values := map[string]string{
		soap.SlotAccessToken: "b29cee2156282be62f51b24fe8b3f07f01c9bff1", soap.SlotUserGSTIN: "09AAAPG7885R002",
		soap.SlotIRN:          "1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae",
		soap.SlotCancelReason: "1", soap.SlotCancelRemarks: "Wrong entry",
	}
	var out []sample
	for _, v := range []soap.Version{soap.SOAP11, soap.SOAP12} {
		out = append(out, sample{
			Version: v, Header: s.opt.Contract.RequestHeader(v, &s.opt.Contract.Cancel),
			Body: indented(s.opt.Contract.EncodeRequest(v, &s.opt.Contract.Cancel, values)),
		})
	}
	return out
}

// indented puts each element of an envelope on a line of its own, by its depth, for reading.
func indented(envelope []byte) string {
	var b strings.Builder
	depth, empty := 0, false
	for i, tag := range strings.Split(string(envelope), "><") {
		opens := !strings.HasPrefix(strings.TrimPrefix(tag, "<"), "?") && !strings.HasSuffix(tag, "/") && !strings.Contains(tag, "</")
		if strings.HasPrefix(tag, "/") {
			opens = false
			depth--
		}
		switch {
		case i == 0:
		case empty && strings.HasPrefix(tag, "/"):
			b.WriteString("><")
		default:
			b.WriteString(">\n" + strings.Repeat("  ", max(depth, 0)) + "<")
		}
		b.WriteString(tag)
		if empty = opens; opens {
			depth++
		}
	}
	return b.String()
}

// home leads browsers to the page. A program that asks there has the wrong address, and is told so.
func (s *Desk) home(c *fiber.Ctx) error {
	if !strings.Contains(c.Get("Accept"), "text/html") {
		return fiber.ErrNotFound
	}
	c.Set("Location", strings.TrimPrefix(Paths[1], "/")) // relative, so that it holds behind a proxy that adds a path
	return s.send(c, reply{status: http.StatusSeeOther, contentType: "text/html; charset=utf-8"})
}

func (s *Desk) sendPage(c *fiber.Ctx, html []byte) error {
	c.Set("Content-Security-Policy", s.page.csp)
	c.Set("X-Content-Type-Options", "nosniff")
	c.Set("Referrer-Policy", "no-referrer")
	c.Set("Cache-Control", "no-store")
	return s.send(c, reply{status: http.StatusOK, contentType: "text/html; charset=utf-8", body: html})
}

// try carries out what was typed into the page's form, as if an ERP had sent it, and shows both envelopes.
func (s *Desk) try(c *fiber.Ctx) error {
	if !s.opt.Form {
		return fiber.ErrNotFound
	}
	media, _, err := mime.ParseMediaType(c.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return fiber.ErrUnsupportedMediaType
	}
	typed, err := url.ParseQuery(string(c.Request().Body()))
	if err != nil {
		return fiber.ErrBadRequest
	}
	values := map[string]string{}
	for _, f := range formFields {
		values[f.Slot] = typed.Get(f.Slot)
	}
	v := soap.SOAP11
	if typed.Get("version") == soap.SOAP12.String() {
		v = soap.SOAP12
	}
	in := s.inbound(c)
	in.authorization, in.header = "", s.opt.Contract.RequestHeader(v, &s.opt.Contract.Cancel)
	in.body = s.opt.Contract.EncodeRequest(v, &s.opt.Contract.Cancel, values)
	r := s.traced(c, in)

	d := s.page.data
	values[soap.SlotAccessToken] = "***"
	d.Sent = indented(s.opt.Contract.EncodeRequest(v, &s.opt.Contract.Cancel, values))
	d.Answer, d.Status, d.Took = indented(r.body), r.status, time.Since(in.received).Round(time.Millisecond)
	delete(values, soap.SlotAccessToken)
	d.Form, d.Try = values, "try"
	html, err := d.html()
	if err != nil {
		return err
	}
	return s.sendPage(c, html)
}
