package upstream

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// IRPClass sorts the errors of India's Invoice Registration Portal and of the gateways in front of it. Whoever carries an
// IRN meets them.
type IRPClass byte

// The classes. What is in no list is IRPUnlisted: only what is listed is a refusal.
const (
	IRPToken     IRPClass = 'T' // token refused: the call was stopped at the gate
	IRPWait      IRPClass = 'W' // stopped at the gate, to be called again later
	IRPConfig    IRPClass = 'K' // credentials or configuration
	IRPPayload   IRPClass = 'C' // the payload is wrong: our fault or the caller's
	IRPBusiness  IRPClass = 'B' // business refusal
	IRPTemporary IRPClass = 'R' // trouble on the way or behind it; whether the call was carried out is open
	IRPAlready   IRPClass = 'A' // already cancelled
	IRPUnlisted  IRPClass = 'U' // in no list, or no reason given
	IRPAmbiguous IRPClass = '?' // entries that contradict each other
)

// cancel is what a class means for a cancel behind a gateway that keeps the session with NIC itself.
func (c IRPClass) cancel() bridge.Class {
	switch c {
	case IRPToken, IRPWait:
		return bridge.NotApplied
	case IRPConfig:
		return bridge.Misconfigured
	case IRPPayload, IRPBusiness:
		return bridge.Refused
	case IRPAlready:
		return bridge.AlreadyCancelled
	case IRPUnlisted:
		return bridge.Unclear
	}
	return bridge.Unknown
}

// together is what different classes in one reply come to. They must agree that nothing was carried out: what was stopped
// at the gate counts as that only when all of it was, an unlisted word leaves a refusal unclear. Any other mixture is
// doubt, trouble and "already cancelled" beside anything else first of all.
var together = []struct {
	all   string
	class IRPClass
}{{"TW", IRPWait}, {"TWK", IRPConfig}, {"CB", IRPPayload}, {"CBK", IRPConfig}, {"CBU", IRPUnlisted}}

// Weigh is what the classes of all the errors in one reply mean together; none at all is a failure without a reason.
func Weigh(classes ...IRPClass) IRPClass {
	var seen string
	for _, c := range classes {
		if strings.IndexByte(seen, byte(c)) < 0 {
			seen += string(rune(c))
		}
	}
	switch len(seen) {
	case 0:
		return IRPUnlisted
	case 1:
		return IRPClass(seen[0])
	}
	for _, t := range together {
		if strings.Trim(seen, t.all) == "" {
			return t.class
		}
	}
	return IRPAmbiguous
}

// class of one entry; listed is false for what no list has. A code that means one thing decides; otherwise the text does.
func (e IRPError) class() (class IRPClass, listed bool) {
	switch text := strings.ToLower(e.Text); e.Code {
	case "9999": // a catch-all number outside NIC's lists
		if already.MatchString(text) && !alreadyElse.MatchString(text) {
			return IRPAlready, true
		}
	case "5002": // one number for two things
		if strings.HasPrefix(text, "the field") || strings.Contains(text, "must be") || strings.Contains(text, "too large") {
			return IRPPayload, true
		}
		return IRPTemporary, strings.HasPrefix(text, "application error")
	default:
		if known, ok := irpCodes[e.Code]; ok {
			return known.class, true
		}
		if known, ok := gatewayCodes[e.Code]; ok && (e.Text == "" || known.says == nil || known.says.MatchString(text)) {
			return known.class, true
		}
	}
	for _, t := range irpTexts {
		if t.says.MatchString(e.Text) {
			return t.class, true
		}
	}
	switch {
	case serverError.MatchString(e.Code):
		return IRPTemporary, true
	case gatewayOwn.MatchString(e.Code):
		if accountTrouble.MatchString(e.Text) {
			return IRPConfig, true
		}
		return IRPTemporary, false
	}
	return IRPUnlisted, false
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
	class IRPClass
	says  *regexp.Regexp
}{
	"105":        {IRPToken, regexp.MustCompile(`token`)}, // Invalid Token
	"106":        {IRPToken, regexp.MustCompile(`token`)},
	"114":        {IRPTemporary, nil},
	"118":        {IRPWait, regexp.MustCompile(`try after`)}, // try after 5 minutes
	"GEN5005":    {IRPConfig, nil},                           // GSP account limit exceeded
	"GEN5008":    {IRPTemporary, nil},                        // GSTN Server Error
	"GSPERR300":  {IRPTemporary, nil},                        // … GSPGSTDOWN
	"GSPGSTDOWN": {IRPTemporary, nil},
}

// irpTexts sort what has no code, or one that says nothing. Masters India passes on what its Python libraries and the
// gateways before NIC say (v1, seen in production).
var irpTexts = []struct {
	class IRPClass
	says  *regexp.Regexp
}{
	{IRPConfig, regexp.MustCompile(`(?i)account limit exceeded|username or password is missing|gstin does not exist|gstin is not mapped`)},
	{IRPTemporary, regexp.MustCompile(`(?i)connection ?(reset|refused|aborted|closed|timed out|error|pool|broken)|no route to host|unreachable|broken pipe|` +
		`remote end closed|max retries exceeded|time[- ]?out|timed out|bad gateway|unavailable\b|temporar|expecting value|server error|` +
		`gst ?down|is down|maintenance|being upgraded|try (again|after|later)|too many|limit (is )?exceeded|rate limit|` +
		`\btoken\b|signature has expired|something went wrong|^\s*50\d\s*$`)},
}

// quota tells whether a gateway's account is used up.
func (l IRPErrors) quota() bool {
	return l.Has("GEN5005") || strings.Contains(strings.ToLower(l.Message()), "account limit exceeded")
}

var minutes = regexp.MustCompile(`(?i)after (\d{1,2}) ?min`)

// wait is how long 118 asks to wait: what its text names, else five minutes.
func (l IRPErrors) wait() time.Duration {
	wait := 5 * time.Minute
	if m := minutes.FindStringSubmatch(l.Message()); m != nil {
		n, _ := strconv.Atoi(m[1])
		wait = max(time.Duration(n)*time.Minute, time.Minute)
	}
	return min(wait, maxWait)
}
