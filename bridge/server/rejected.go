package server

import (
	"bytes"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"einvoice-bridge/bridge"
)

// keptRefusals are those that go on record: whoever connects an ERP finds there what it does wrong. The others are trouble of
// the bridge's own, which the log tells.
var keptRefusals = []Refusal{RefusedHTTP, RefusedSOAP, RefusedToken, RefusedExpired, RefusedTaxpayer, RefusedUnknown, RefusedLogin}

// record has a refused request written down: why, and what came, by its names. No value goes in.
func (s *Desk) record(in *inbound, kind Refusal, attrs []slog.Attr) {
	if s.opt.Rejected == nil || !slices.Contains(keptRefusals, kind) || !in.posts() {
		return
	}
	r := bridge.Rejected{Ref: in.ref, At: in.received, From: in.from.String(), Kind: string(kind), Came: came(in)}
	for _, a := range attrs {
		switch text := harmless(shortTo(a.Value.String(), 512)); a.Key {
		case "why":
			r.Why = text
		case "caller":
			r.Caller = a.Value.String() // the configuration's
		default:
			r.Came = append(r.Came, bridge.Fact{Name: a.Key, Text: text})
		}
	}
	s.opt.Rejected(r)
}

// posts tells a call from somebody who only looks: a browser, a scanner.
func (in *inbound) posts() bool { return in.header.ContentType != "" || len(in.body) > 0 }

// came is what a request was made of.
func came(in *inbound) (all []bridge.Fact) {
	elements, namespaces := labels(in.body)
	for _, f := range []bridge.Fact{
		{Name: "posted to", Text: in.path}, {Name: "Content-Type", Text: in.header.ContentType}, {Name: "Content-Encoding", Text: in.header.ContentEncoding},
		{Name: "SOAPAction", Text: in.header.SOAPAction}, {Name: "User-Agent", Text: in.agent},
		{Name: "elements", Text: elements}, {Name: "namespaces", Text: namespaces},
	} {
		if f.Text = harmless(shortTo(f.Text, 512)); f.Text != "" {
			all = append(all, f)
		}
	}
	return all
}

const (
	namesWithin = 16 << 10 // bytes of a request that are looked at for names
	mostNames   = 32
)

var (
	startTag  = regexp.MustCompile(`<([A-Za-z_][\w.:-]{0,63})[\s>/]`)
	endTag    = regexp.MustCompile(`</([A-Za-z_][\w.:-]{0,63})\s*>`)
	namespace = regexp.MustCompile(`\sxmlns(?::[\w.-]{1,64})?\s*=\s*["']([^"'<>\s]{1,200})["']`)
)

// labels are the elements and namespaces of what may be no XML at all. An element counts when it is also closed: after an
// unescaped < in a password the rest of it looks like an element's name.
func labels(body []byte) (elements, namespaces string) {
	body = body[:min(len(body), namesWithin)]
	closed := map[string]bool{}
	for _, m := range endTag.FindAllSubmatch(body, -1) {
		closed[string(m[1])] = true
	}
	var tags, spaces []string
	for _, m := range startTag.FindAllSubmatch(body, -1) {
		if closed[string(m[1])] {
			tags = append(tags, string(m[1]))
		}
	}
	for _, m := range namespace.FindAllSubmatch(body, -1) {
		if !bytes.Contains(m[1], []byte("xmlsoap.org")) && !bytes.Contains(m[1], []byte("w3.org")) {
			spaces = append(spaces, string(m[1]))
		}
	}
	return list(tags), list(spaces)
}

// list has each name once, in its order.
func list(all []string) string {
	var once []string
	for _, s := range all {
		if len(once) < mostNames && !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return strings.Join(once, ", ")
}

var unnatural = regexp.MustCompile(`[0-9A-Za-z+_=~-]{20,}`)

// harmless blots out what is no word: a token or key that stands where a name was wanted, or in an address.
func harmless(s string) string {
	return unnatural.ReplaceAllStringFunc(s, func(word string) string {
		if strings.ContainsAny(word, "0123456789") {
			return "(" + strconv.Itoa(len(word)) + " characters)"
		}
		return word
	})
}
