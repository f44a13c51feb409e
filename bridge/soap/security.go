package soap

import (
	"encoding/xml"
	"strings"

	"github.com/beevik/etree"
)

const (
	nsWSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	nsWSU  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
)

var (
	securityName    = xml.Name{Space: nsWSSE, Local: "Security"}
	invalidSecurity = Subcode{"wsse", nsWSSE, "InvalidSecurity"}
)

// securityUnderstood reports whether a Security block holds nothing but UsernameToken and Timestamp. Rampart sends it
// empty. Signatures are never verified, so a block with one is never understood.
func securityUnderstood(e *etree.Element) bool {
	for _, c := range e.ChildElements() {
		space := canonical(c.NamespaceURI())
		if !(c.Tag == "UsernameToken" && space == nsWSSE) && !(c.Tag == "Timestamp" && space == nsWSU) {
			return false
		}
	}
	return true
}

// readSecurity takes the UsernameToken out of the Security blocks (WSS UsernameToken Profile 1.0 §3.1).
func (r *reading) readSecurity(blocks []block) *Fault {
	var tokens []*etree.Element
	for _, b := range blocks {
		if b.name == securityName {
			tokens = append(tokens, childrenOf(b.Element, nsWSSE, "UsernameToken")...)
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	token, ok := usernameToken(tokens[0])
	if !ok || len(tokens) > 1 {
		if r.d.WholeTokens {
			f := clientf("The Security header must hold one UsernameToken with one Username and one Password")
			f.Subcode = invalidSecurity
			return f
		}
		r.note("a malformed UsernameToken was ignored")
		return nil
	}
	r.token = token
	return nil
}

func usernameToken(e *etree.Element) (*UsernameToken, bool) {
	username := childrenOf(e, nsWSSE, "Username")
	password := childrenOf(e, nsWSSE, "Password")
	nonce := childrenOf(e, nsWSSE, "Nonce")
	created := childrenOf(e, nsWSU, "Created")
	if len(username) != 1 || len(password) != 1 || len(nonce) > 1 || len(created) > 1 {
		return nil, false
	}
	t := &UsernameToken{
		Username: textOf(username[0]),
		Password: textOf(password[0]),
		Digest:   strings.HasSuffix(password[0].SelectAttrValue("Type", ""), "#PasswordDigest"),
	}
	if len(nonce) == 1 {
		t.Nonce = textOf(nonce[0])
	}
	if len(created) == 1 {
		t.Created = textOf(created[0])
	}
	return t, t.Username != "" && t.Password != ""
}
