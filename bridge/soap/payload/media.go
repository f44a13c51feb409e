package payload

import (
	"net/http"
	"regexp"
	"strings"
)

// Media is a Content-Type with the parameters that matter, keys in lower case.
type Media struct {
	Name   string // "text/xml", lower case
	params []param
	sloppy bool // it took some goodwill to read
}

type param struct{ key, value string }

// Param is the value of a parameter, "" when there is none.
func (m *Media) Param(key string) string {
	for _, p := range m.params {
		if p.key == key {
			return p.value
		}
	}
	return ""
}

// ParseMedia is more lenient than package mime, which drops all parameters over one bare
// action=urn:server#eInvoiceCancel (KDSoap). Of a repeated parameter the first counts. What merely holds the name of
// XML's media type ("text/xml charset=utf-8", the header twice and joined by a proxy) is taken for it, as the original
// does, and whatever follows charset= for the label.
func ParseMedia(s string) Media {
	name, rest, _ := strings.Cut(s, ";")
	m := Media{Name: strings.ToLower(strings.TrimSpace(name))}
	if !m.takesSOAP() && m.Name != "multipart/related" && m.Name != "application/xop+xml" {
		if lower := strings.ToLower(s); strings.Contains(lower, "text/xml") {
			m.Name, m.sloppy = "text/xml", true
		} else if strings.Contains(lower, soapXML) {
			m.Name, m.sloppy = soapXML, true
		}
		if m.sloppy {
			after := ""
			if at := charsetMark.FindStringIndex(s); at != nil {
				after = s[at[1]:]
			}
			rest = "charset=" + after + ";" + rest
		}
	}
	for rest != "" {
		var key, value string
		key, value, rest = nextParam(rest)
		if key != "" {
			m.params = append(m.params, param{key, value})
		}
	}
	return m
}

var charsetMark = regexp.MustCompile("(?i)charset=")

// nextParam cuts one key=value or key="value" off the front.
func nextParam(s string) (key, value, rest string) {
	i, end := strings.IndexByte(s, '='), strings.IndexByte(s, ';')
	if i < 0 || end >= 0 && end < i {
		_, rest, _ = strings.Cut(s, ";")
		return "", "", rest
	}
	key = strings.ToLower(strings.TrimSpace(s[:i]))
	s = strings.TrimLeft(s[i+1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return key, strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i = 1; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	_, rest, _ = strings.Cut(s[min(i, len(s)):], ";")
	return key, b.String(), rest
}

const soapXML = "application/soap+xml"

// takesSOAP knows what real callers send SOAP as, nothing at all included.
func (m Media) takesSOAP() bool {
	switch m.Name {
	case "", "text/xml", soapXML, "application/xml":
		return true
	}
	return false
}

func (m Media) check() *Refusal {
	if m.takesSOAP() {
		return nil
	}
	return &Refusal{
		Text: "Content-Type must be text/xml or application/soap+xml", Status: http.StatusUnsupportedMediaType, Found: "'" + m.Name + "'",
	}
}

// Charset is the label, cut off where a proxy has joined two headers.
func (m Media) Charset() string {
	label, _, _ := strings.Cut(m.Param("charset"), ",")
	label, _, _ = strings.Cut(strings.TrimSpace(label), " ")
	return strings.Trim(label, `"`)
}
