package rehearsal

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/soap"
)

// Source hands out what was recorded, oldest first, as often as it is asked.
type Source func(do func(bridge.Rehearsed) error) error

// Report is what a rehearsal has shown.
type Report struct {
	First, Last time.Time
	Calls       int
	Lost        int // that could not be written down
	Kinds       []Kind
	// What would have gone otherwise, each text once: not understood, refused by us, read leniently, and calls that the
	// provider gave no SOAP answer to.
	NotUnderstood, Refused, Lenient, Unanswered []Group
	// Headers are those of the provider's answers that ours don't have.
	Headers []Group

	// Lines are what makes the bridge's answers the provider's, as a piece of the configuration file; "" when they are.
	Lines string
	// Problem is why Lines can't be used; "" when they can.
	Problem string
	// WSDL is the provider's own description, if somebody asked for it.
	WSDL string
	// Before and After are the answers held to the provider's, as configured now and with Lines.
	Before, After *Comparison

	contract *soap.Contract // derived
	base     *soap.Contract
	decoder  *soap.Decoder
}

// Kind is what one caller sent of one sort.
type Kind struct {
	Caller, Operation string
	Relayed           bool // also when the bridge is live
	Calls             int
}

// Group is how often something was said, with one request that it was said of.
type Group struct {
	Text, Caller string
	Calls        int
	Ref          string
}

// Look reads what was recorded under the contract that is configured.
func Look(all Source, configured *soap.Contract) (*Report, error) {
	const headers = 4
	s := newStudy(configured)
	r := &Report{base: configured, decoder: s.decoder}
	kinds, groups := map[Kind]int{}, [5]map[Group]*Group{{}, {}, {}, {}, {}}
	err := all(func(c bridge.Rehearsed) error {
		if r.Calls++; r.First.IsZero() {
			r.First = c.At
		}
		r.Last = c.At
		r.Lost += c.Lost
		kinds[Kind{Caller: c.Caller, Operation: sort(c), Relayed: !c.Ours && c.Fault == "" && c.Operation != "" && c.Request.Method == ""}]++
		note := func(i int, text string) {
			if text == "" {
				return
			}
			key := Group{Text: text, Caller: c.Caller}
			if i == headers {
				key.Caller = ""
			}
			if groups[i][key] == nil {
				known := key
				known.Ref = c.Ref
				groups[i][key] = &known
			}
			groups[i][key].Calls++
		}
		note(0, c.Fault)
		note(1, c.Refused)
		for _, text := range c.Notes {
			note(2, text)
		}
		note(3, s.take(c))
		for _, h := range c.Answer.Headers {
			if c.Ours && !slices.Contains(common, h[0]) {
				note(headers, h[0])
			}
		}
		if c.Operation == bridge.RehearsedWSDL && c.Answer.Body != "" {
			r.WSDL = c.Answer.Body
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, n := range kinds {
		k.Calls = n
		r.Kinds = append(r.Kinds, k)
	}
	slices.SortFunc(r.Kinds, func(a, b Kind) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Operation, b.Operation))
	})
	for i, into := range []*[]Group{&r.NotUnderstood, &r.Refused, &r.Lenient, &r.Unanswered, &r.Headers} {
		*into = sorted(groups[i])
	}
	r.contract = s.contract()
	r.Lines = lines(configured, r.contract, s)
	r.Before, err = r.Replay(all, configured)
	return r, err
}

// common are headers that say nothing about an answer, or that ours have, too.
var common = []string{"Content-Type", "Content-Encoding", "Date", "Server", "X-Powered-By", "Vary", "Retry-After"}

func sorted(groups map[Group]*Group) (all []Group) {
	for _, g := range groups {
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Caller, b.Caller))
	})
	return all
}

// sort is what a request is, for people.
func sort(c bridge.Rehearsed) string {
	return cmp.Or(c.Operation, c.Request.Method, "unreadable")
}

// study is what the provider's answers have in common.
type study struct {
	base     *soap.Contract
	decoder  *soap.Decoder
	ops      map[string]*opStudy
	charsets tally // of answers
	declared tally
	spaces   tally // of answers whose namespace is not the request's
	own      tally // of all answers
}

// opStudy is about one operation.
type opStudy struct {
	forms   map[string]*formCount
	total   int
	asked   tally // names that parameters came under, joined
	foreign tally // namespaces of requests that are answered in another one
}

// formCount is one form of answers.
type formCount struct {
	form  *soap.Form
	calls int
	parts []*partStudy
}

// partStudy is what stood in one part. Of each call what is kept is how it looks; the words only while they are few.
type partStudy struct {
	calls, empty, echo, date, code, word, flag, sentence, masked, seconds int

	texts     tally
	good, bad tally // texts of successes and of refusals
}

func newStudy(base *soap.Contract) *study {
	d := soap.NewDecoder(base).With(soap.Accept{UnderstoodAny: true, BareParams: true, ActionDispatch: true, XML11: true, HeaderBlocks: 64})
	return &study{base: base, decoder: d, ops: map[string]*opStudy{}, charsets: tally{}, declared: tally{}, spaces: tally{}, own: tally{}}
}

// tally counts texts.
type tally map[string]int

func (t tally) add(text string) {
	const most = 64
	if _, known := t[text]; known || len(t) < most {
		t[text]++
	}
}

// top is the most frequent one; "" when there is none.
func (t tally) top() (text string) {
	most := 0
	for _, k := range slices.Sorted(maps.Keys(t)) {
		if t[k] > most {
			text, most = k, t[k]
		}
	}
	return text
}

// take looks at one call's answer. What is no answer that could be compared is told.
func (s *study) take(c bridge.Rehearsed) (unanswered string) {
	switch {
	case c.Failed != "":
		return "no answer: " + c.Failed
	case !c.Ours || s.base.Operation(c.Operation) == nil:
		return ""
	}
	form, err := formOf(c)
	if err != nil {
		return fmt.Sprintf("HTTP %d, %s, which is no SOAP answer: %v", c.Answer.Status, cmp.Or(c.Answer.Header("Content-Type"), "no Content-Type"), err)
	}
	s.charsets.add(cmp.Or(form.Charset, form.Declaration))
	s.declared.add(form.Declaration)
	if form.Fault {
		return ""
	}
	op := s.ops[c.Operation]
	if op == nil {
		op = &opStudy{forms: map[string]*formCount{}, asked: tally{}, foreign: tally{}}
		s.ops[c.Operation] = op
	}
	req := requestOf(c, s.decoder)
	s.own.add(form.Namespace)
	if req == nil || req.Namespace != form.Namespace {
		s.spaces.add(form.Namespace)
		if req != nil && req.Namespace != "" {
			op.foreign.add(req.Namespace)
		}
	}
	op.take(form, req)
	return ""
}

func (o *opStudy) take(form *soap.Form, req *soap.Request) {
	o.total++
	irn := ""
	if req != nil {
		irn = req.Text(soap.SlotIRN)
		o.asked.add(strings.Join(elements(req), " "))
	}
	key := signature(form)
	n := o.forms[key]
	if n == nil {
		n = &formCount{form: form}
		for range form.Parts {
			n.parts = append(n.parts, &partStudy{texts: tally{}, good: tally{}, bad: tally{}})
		}
		o.forms[key] = n
	}
	n.calls++
	good := irn != "" && slices.ContainsFunc(form.Parts, func(p soap.PartForm) bool { return strings.EqualFold(p.Text, irn) })
	for i, p := range form.Parts {
		n.parts[i].take(p.Text, irn, good)
	}
}

// elements are the names that the parameters came under, in the contract's order; "" for one that was not sent.
func elements(req *soap.Request) (names []string) {
	for _, p := range req.Params {
		switch {
		case p.State == soap.Absent:
			names = append(names, "")
		default:
			names = append(names, cmp.Or(p.Element, p.Name))
		}
	}
	return names
}

var (
	dateLike   = regexp.MustCompile(`^\d{4}[-/]\d{2}[-/]\d{2}|^\d{2}[-/]\d{2}[-/]\d{4}`)
	threeDigit = regexp.MustCompile(`^\d{3}$`)
	seconds    = regexp.MustCompile(`^\d{2,7}$`)
	oneWord    = regexp.MustCompile(`^\pL{2,20}$`)
	flagLike   = regexp.MustCompile(`(?i)^(0|1|y|n|yes|no|true|false)$`)
)

func (p *partStudy) take(text, irn string, good bool) {
	p.calls++
	p.texts.add(text)
	if good {
		p.good.add(text)
	} else {
		p.bad.add(text)
	}
	for _, is := range []struct {
		what *int
		so   bool
	}{
		{&p.empty, text == ""}, {&p.echo, irn != "" && strings.EqualFold(text, irn)}, {&p.date, dateLike.MatchString(text)},
		{&p.code, threeDigit.MatchString(text)}, {&p.word, oneWord.MatchString(text)}, {&p.flag, flagLike.MatchString(text)},
		{&p.sentence, strings.ContainsAny(text, " :")}, {&p.masked, text == "***"}, {&p.seconds, seconds.MatchString(text)},
	} {
		if is.so {
			*is.what++
		}
	}
}

// signature is all that a contract decides about an answer's parts.
func signature(f *soap.Form) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s|%s|%s", f.Element, f.Wrapper, f.EncodingStyle)
	for _, p := range f.Parts {
		fmt.Fprintf(&b, "|%s %s %v", p.Name, p.Type, p.Namespace != "")
	}
	return b.String()
}

// formOf reads the answer that was written down, in UTF-8 whatever it came in.
func formOf(c bridge.Rehearsed) (*soap.Form, error) {
	if c.Answer.Body == "" {
		return nil, fmt.Errorf("%d bytes that can't be read as SOAP", c.Answer.Size)
	}
	return soap.ReadForm(soap.Header{ContentType: c.Answer.Header("Content-Type")}, []byte(c.Answer.Body), false)
}

var labelled = regexp.MustCompile(`(?i);\s*charset\s*=[^;]*`)

// requestOf reads the call that was written down; nil when it can't be read.
func requestOf(c bridge.Rehearsed, d *soap.Decoder) *soap.Request {
	media := labelled.ReplaceAllString(c.Request.Header("Content-Type"), "")
	if strings.HasPrefix(strings.ToLower(media), "multipart/") {
		media = ""
	}
	req, err := d.Decode(soap.Header{ContentType: media, SOAPAction: c.Request.Header("SOAPAction")}, []byte(c.Request.Body))
	if err != nil {
		return nil
	}
	return req
}
