package server

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/wsdl"
)

// document is one description, ready to be sent.
type document struct {
	body              []byte
	contentType, etag string
}

// saved is the flavour of an operator's own description.
const saved = "saved"

// flavourOf is the flavour of a plain ?wsdl where none is configured. At the provider's path it is the provider's, which
// programs that load it at run time are written against; at ours the one that every generator takes.
var flavourOf = map[string]string{Paths[0]: "rpc-literal", Paths[1]: wsdl.Default}

// describe renders every flavour for every path. A flavour that can't describe the contract is left out, unless it is
// the one that is configured.
func (s *Desk) describe() error {
	if s.opt.Flavour == "" && s.opt.SavedWSDL != nil {
		s.opt.Flavour = saved
	}
	s.documents = map[string]map[string]*document{}
	for _, path := range Paths {
		s.documents[path] = map[string]*document{}
		for _, flavour := range append(wsdl.Flavours(), saved) {
			if flavour == saved && s.opt.SavedWSDL == nil {
				continue
			}
			doc, err := s.render(flavour, path)
			if err != nil && flavour == s.opt.Flavour {
				return err
			}
			if err != nil {
				s.opt.Log.Info("WSDL flavour is not offered", "flavour", flavour, "why", err.Error())
				continue
			}
			s.documents[path][flavour] = doc
		}
	}
	if s.opt.Flavour != "" && s.documents[Paths[0]][s.opt.Flavour] == nil {
		_, err := wsdl.Render(s.opt.Flavour, wsdl.Params{})
		return err
	}
	s.plain = map[string]string{}
	for _, path := range Paths {
		s.plain[path] = cmp.Or(s.opt.Flavour, flavourOf[path])
		if s.documents[path][s.plain[path]] == nil { // rpc can't have qualified parts
			s.plain[path] = wsdl.Default
		}
	}
	var err error
	s.page, err = s.newPage()
	return err
}

// flavours are the names of those that are offered.
func (s *Desk) flavours() []string {
	return slices.DeleteFunc(append(wsdl.Flavours(), saved), func(name string) bool { return s.documents[Paths[0]][name] == nil })
}

func (s *Desk) render(flavour, path string) (*document, error) {
	var body []byte
	var err error
	charset := "utf-8"
	if flavour == saved {
		body, err = wsdl.Readdress(s.opt.SavedWSDL, s.publicURL+path)
		charset = wsdl.Charset(s.opt.SavedWSDL)
		if path == Paths[0] && !strings.HasPrefix(charset, "utf-") {
			s.opt.Log.Warn("the saved WSDL is not in UTF-8 or UTF-16, which .NET tools insist on", "charset", charset)
		}
	} else {
		body, err = wsdl.Render(flavour, describing(s.opt.Contract, s.publicURL+path))
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &document{body, "text/xml; charset=" + charset, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}, nil
}

// describing is the contract as the description tells it.
func describing(c *soap.Contract, location string) wsdl.Params {
	p := wsdl.Params{Location: location, Namespace: c.Namespace, Qualified: c.Qualified, TypedFault: c.Faults.TypedDetail}
	for _, op := range []soap.Operation{c.Token, c.Cancel} {
		p.Operations = append(p.Operations, wsdl.Operation{
			Name: op.Name, Documentation: op.Description, SOAPAction: op.SOAPAction,
			Request: names(op.Request), Response: names(op.Response), Optional: optional(op.Request),
			ResponseName: op.ResponseName, Wrapper: op.ResponseWrapper,
		})
	}
	return p
}

func names(parts []soap.Part) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.Name
	}
	return out
}

// optional names the one part that a cancellation needs not have.
func optional(parts []soap.Part) []string {
	return names(slices.DeleteFunc(slices.Clone(parts), func(p soap.Part) bool { return p.Slot != soap.SlotCancelRemarks }))
}

// get answers GET and HEAD of a service path: the description when the query says wsdl in any letter case, else the
// page for people. Tools also ask for ?xsd=…, ?disco and the like and wait for a quick no.
func (s *Desk) get(c *fiber.Ctx) error {
	if s.rehearsing() {
		in := s.inbound(c)
		in.method = strings.Clone(c.Method())
		in.fields = slices.DeleteFunc(in.fields, func(f [2]string) bool { return strings.EqualFold(f[0], "Accept-Encoding") }) // see readdress
		return s.send(c, s.rehearse(in))
	}
	path := "/" + strings.TrimLeft(c.Route().Path, "/")
	query := strings.ToLower(string(c.Request().URI().QueryString()))
	values, _ := url.ParseQuery(query)
	switch {
	case values.Has("xsd") || values.Has("disco") || values.Has("mex"):
		return fiber.ErrNotFound
	case !strings.Contains(query, "wsdl"):
		return s.sendPage(c, s.page.plain)
	case values.Has("flavour"):
		return s.sendWSDL(c, path, values.Get("flavour"))
	}
	return s.sendWSDL(c, path, s.plain[path])
}

// getWSDL answers /wsdl/NAME.wsdl.
func (s *Desk) getWSDL(c *fiber.Ctx) error {
	name, ok := strings.CutSuffix(strings.ToLower(c.Params("name")), ".wsdl")
	if !ok {
		return fiber.ErrNotFound
	}
	return s.sendWSDL(c, Paths[0], name)
}

func (s *Desk) sendWSDL(c *fiber.Ctx, path, flavour string) error {
	doc := s.documents[path][flavour]
	if doc == nil {
		in := s.inbound(c)
		f := soap.HTTPFault(http.StatusNotFound, "There is no WSDL of that flavour; there are "+strings.Join(s.flavours(), ", "))
		f.Version = soap.GuessVersion(in.header.ContentType)
		return s.send(c, s.fault(in, f))
	}
	c.Set("ETag", doc.etag)
	if match := c.Get("If-None-Match"); match == "*" || strings.Contains(match, doc.etag) {
		c.Status(http.StatusNotModified)
		return nil
	}
	return s.send(c, reply{status: http.StatusOK, contentType: doc.contentType, body: doc.body})
}
