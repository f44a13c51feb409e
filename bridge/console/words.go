package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// words is how the templates put values into text.
var words = template.FuncMap{
	"dated":    Dated,
	"left":     leftText,
	"zoneof":   func(space string) string { return lawOf(space).zone },
	"ago":      func(t time.Time) string { return agoText(time.Since(t)) },
	"since":    func(t time.Time) string { return tookText(max(time.Since(t), time.Second).Truncate(time.Second)) },
	"until":    func(t time.Time) string { return untilText(time.Until(t)) },
	"lookup":   lookupText,
	"sent":     sentText,
	"remark":   Remark,
	"why":      func(a bridge.Answer) string { return a.Why },
	"took":     tookText,
	"short":    short,
	"class":    classText,
	"state":    stateText,
	"standing": standing,
	"code":     func(a bridge.Answer) int { return a.Code() },
	"told":     toldText,
	"how":      howText,
	"body":     bodyText,
	"soap":     func(b []byte) string { return indentXML(string(b)) },
	"query":    url.QueryEscape,
	"join":     strings.Join,
	"reason":   reasonText,
	"outcome":  outcomeBadge,
	"dict":     dict,

	"rejection": RejectionText,
	"means":     meaning,
	"deed":      DeedText,
	"now":       nowText,
}

// tookText is a duration as people say it: one unit, two digits where they matter.
func tookText(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

func agoText(d time.Duration) string {
	if d < time.Second {
		return "just now"
	}
	return tookText(d.Truncate(time.Second)) + " ago"
}

func untilText(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + tookText(max(d.Truncate(time.Second), time.Second))
}

// sentText is how long ago a cancel of the entry may have left first.
func sentText(e bridge.Entry) string {
	at := firstSent(e)
	if at.IsZero() {
		return "never"
	}
	return agoText(time.Since(at))
}

// lookupText is when a doubtful entry is looked up next; some are for people to look up.
func lookupText(t time.Time) string {
	if t.IsZero() {
		return "not any more"
	}
	return untilText(time.Until(t))
}

// short is enough of a hash or document id to recognize it.
func short(s string) string {
	if len(s) <= 20 {
		return s
	}
	return s[:12] + "…" + s[len(s)-4:]
}

// badge is where an entry stands, in a word and a colour.
type badge struct{ Word, Colour string }

func standing(e bridge.Entry) badge {
	if e.State != bridge.Final && e.State != "" {
		return badge{stateText(e.State), map[bridge.State]string{
			bridge.Accepted: "none", bridge.Sending: "none", bridge.Open: "unknown",
		}[e.State]}
	}
	if e.ID == 0 {
		return badge{"refused by a check", "refused"}
	}
	word := classText(e.Outcome.Class)
	if e.ByHand() != nil {
		word += ", an operator's word"
	}
	return badge{word, e.Outcome.Class.String()}
}

// toldText is what a caller was told of a document of a space, in one line.
func toldText(a bridge.Answer, space string) string {
	switch {
	case a.Fault != "":
		return a.Fault
	case a.Class == bridge.Cancelled:
		return "Success, cancelled on " + Dated(a.CancelDate, space)
	}
	return a.Message
}

func howText(h bridge.How) string {
	switch h {
	case bridge.FromUpstream:
		return "carried out for this call"
	case bridge.FromJournal:
		return "answered from the journal"
	case bridge.FromJoin:
		return "joined a call under way"
	case bridge.FromCheck:
		return "decided by the bridge"
	}
	return string(h)
}

func reasonText(r any) string {
	code := fmt.Sprint(r)
	if label := bridge.Reason(code).Label(); label != "" {
		return code + ", " + strings.ToLower(label)
	}
	return code
}

// bodyText makes an exchange's body readable: JSON is indented, the rest stays as it is.
func bodyText(s string) string {
	if s == "" {
		return "(nothing)"
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(s), "", " ") == nil {
		return b.String()
	}
	return s
}

// indentXML puts each element on a line of its own, for reading only. What is no XML stays as it is.
func indentXML(s string) string {
	var b strings.Builder
	depth := 0
	for rest := strings.TrimSpace(s); rest != ""; {
		if rest[0] != '<' {
			return s
		}
		end := strings.IndexByte(rest, '>')
		if end < 0 {
			return s
		}
		tag := rest[:end+1]
		rest = strings.TrimLeft(rest[end+1:], " \t\r\n")
		closing := strings.HasPrefix(tag, "</")
		if closing {
			depth--
		}
		b.WriteString(strings.Repeat(" ", max(depth, 0)) + tag)
		if !closing && !strings.HasSuffix(tag, "/>") && !strings.HasPrefix(tag, "<?") && !strings.HasPrefix(tag, "<!") {
			depth++
			name, _, _ := strings.Cut(strings.Trim(tag, "<>"), " ")
			if text, after, ok := strings.Cut(rest, "</"+name+">"); ok && !strings.Contains(text, "<") {
				b.WriteString(text + "</" + name + ">")
				rest = strings.TrimLeft(after, " \t\r\n")
				depth--
			}
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}

func outcomeBadge(a bridge.Attempt) badge {
	switch {
	case a.End.IsZero():
		return badge{"no end recorded", "unknown"}
	case !Sent(a):
		return badge{"not sent: " + classText(a.Outcome.Class), a.Outcome.Class.String()}
	case a.Kind == bridge.AskState && a.Outcome.Class == bridge.NotApplied:
		return badge{"not cancelled", "not_applied"}
	}
	return badge{classText(a.Outcome.Class), a.Outcome.Class.String()}
}

// dict hands several values to a template.
func dict(pairs ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[fmt.Sprint(pairs[i])] = pairs[i+1]
	}
	return m
}
