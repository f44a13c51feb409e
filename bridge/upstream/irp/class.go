package irp

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// Class sorts the errors of India's Invoice Registration Portal and of the gateways in front of it. Whoever carries an
// IRN meets them.
type Class byte

// The classes. What is in no list is Unlisted: only what is listed is a refusal.
const (
	Token     Class = 'T' // token refused: the call was stopped at the gate
	Wait      Class = 'W' // stopped at the gate, to be called again later
	Config    Class = 'K' // credentials or configuration
	Payload   Class = 'C' // the payload is wrong: our fault or the caller's
	Business  Class = 'B' // business refusal
	Temporary Class = 'R' // trouble on the way or behind it; whether the call was carried out is open
	Already   Class = 'A' // already cancelled
	Unlisted  Class = 'U' // in no list, or no reason given
	Ambiguous Class = '?' // entries that contradict each other
)

// cancel is what a class means for a cancel behind a gateway that keeps the session with NIC itself.
func (c Class) cancel() bridge.Class {
	switch c {
	case Token, Wait:
		return bridge.NotApplied
	case Config:
		return bridge.Misconfigured
	case Payload, Business:
		return bridge.Refused
	case Already:
		return bridge.AlreadyCancelled
	case Unlisted:
		return bridge.Unclear
	}
	return bridge.Unknown
}

// together is what different classes in one reply come to. They must agree that nothing was carried out: what was stopped
// at the gate counts as that only when all of it was, an unlisted word leaves a refusal unclear. Any other mixture is
// doubt, trouble and "already cancelled" beside anything else first of all.
var together = []struct {
	all   string
	class Class
}{{"TW", Wait}, {"TWK", Config}, {"CB", Payload}, {"CBK", Config}, {"CBU", Unlisted}}

// Weigh is what the classes of all the errors in one reply mean together; none at all is a failure without a reason.
func Weigh(classes ...Class) Class {
	var seen string
	for _, c := range classes {
		if strings.IndexByte(seen, byte(c)) < 0 {
			seen += string(rune(c))
		}
	}
	switch len(seen) {
	case 0:
		return Unlisted
	case 1:
		return Class(seen[0])
	}
	for _, t := range together {
		if strings.Trim(seen, t.all) == "" {
			return t.class
		}
	}
	return Ambiguous
}

// class of one entry; listed is false for what no list has. A code that means one thing decides; otherwise the text does.
func (e Error) class() (class Class, listed bool) {
	switch text := strings.ToLower(e.Text); e.Code {
	case "9999": // a catch-all number outside NIC's lists
		if already.MatchString(text) && !alreadyElse.MatchString(text) {
			return Already, true
		}
	case "5002": // one number for two things
		if strings.HasPrefix(text, "the field") || strings.Contains(text, "must be") || strings.Contains(text, "too large") {
			return Payload, true
		}
		return Temporary, strings.HasPrefix(text, "application error")
	default:
		if known, ok := codes[e.Code]; ok {
			return known.class, true
		}
		if known, ok := gatewayCodes[e.Code]; ok && (e.Text == "" || known.says == nil || known.says.MatchString(text)) {
			return known.class, true
		}
	}
	switch {
	case accountTexts.MatchString(e.Text):
		return Config, true
	case upstream.Trouble(e.Text):
		return Temporary, true
	case serverError.MatchString(e.Code):
		return Temporary, true
	case gatewayOwn.MatchString(e.Code):
		if accountTrouble.MatchString(e.Text) {
			return Config, true
		}
		return Temporary, false
	}
	return Unlisted, false
}

// already are the texts of 9999 for a document that is cancelled: "Invoice is not active" (NIC), "IRN is already
// cancelled". What isn't active or cancelled may be something else.
var (
	already     = regexp.MustCompile(`not active|already (been )?cancel|\b(is|was|been) cancell?ed`)
	alreadyElse = regexp.MustCompile(`gstin|user|taxpayer|supplier|client|account|e-?way|not (yet )?(been )?cancell?ed`)
)

var (
	serverError    = regexp.MustCompile(`^5\d\d$`)    // an HTTP status in the place of a code
	gatewayOwn     = regexp.MustCompile(`^(GSP|GEN)`) // a gateway's numbers, never the authority's
	accountTrouble = regexp.MustCompile(`(?i)subscription|account|credit|quota|password|authori[sz]`)
)

// gatewayCodes are those in which GSPs and GSTN's own gateway word their troubles, seen in production with NIC, GSPs and
// Masters India up to 2026-11. Three digits mean that only beside their text: other programs number otherwise.
var gatewayCodes = map[string]struct {
	class Class
	says  *regexp.Regexp
}{
	"105":        {Token, regexp.MustCompile(`token`)}, // Invalid Token
	"106":        {Token, regexp.MustCompile(`token`)},
	"114":        {Temporary, nil},
	"118":        {Wait, regexp.MustCompile(`try after`)}, // try after 5 minutes
	"GEN5005":    {Config, nil},                           // GSP account limit exceeded
	"GEN5008":    {Temporary, nil},                        // GSTN Server Error
	"GSPERR300":  {Temporary, nil},                        // … GSPGSTDOWN
	"GSPGSTDOWN": {Temporary, nil},
}

// accountTexts say in words, without a code that says it, that the account or its settings are at fault. Masters India
// passes on what the gateways before NIC say (v1, seen in production).
var accountTexts = regexp.MustCompile(`(?i)account limit exceeded|username or password is missing|gstin does not exist|gstin is not mapped`)

// quota tells whether a gateway's account is used up.
func (l Errors) quota() bool {
	return l.Has("GEN5005") || strings.Contains(strings.ToLower(l.Message()), "account limit exceeded")
}

var minutes = regexp.MustCompile(`(?i)after (\d{1,2}) ?min`)

// wait is how long 118 asks to wait: what its text names, else five minutes.
func (l Errors) wait() time.Duration {
	wait := 5 * time.Minute
	if m := minutes.FindStringSubmatch(l.Message()); m != nil {
		n, _ := strconv.Atoi(m[1])
		wait = max(time.Duration(n)*time.Minute, time.Minute)
	}
	return min(wait, upstream.MaxWait)
}
