package soap

import (
	"net/http"
	"regexp"
	"strings"
)

// mediaType is a Content-Type with the parameters that matter, keys in lower case.
type mediaType struct {
	name   string // "text/xml", lower case
	params map[string]string
	sloppy bool // it took some goodwill to read
}

// parseMediaType is more lenient than package mime, which drops all parameters over one bare
// action=urn:server#eInvoiceCancel (KDSoap). Of a repeated parameter the first counts. What merely holds the name of
// XML's media type ("text/xml charset=utf-8", the header twice and joined by a proxy) is taken for it, as the original
// does, and whatever follows charset= for the label.
func parseMediaType(s string) mediaType {
	name, rest, _ := strings.Cut(s, ";")
	m := mediaType{name: strings.ToLower(strings.TrimSpace(name))}
	if !m.clean() {
		if lower := strings.ToLower(s); strings.Contains(lower, "text/xml") {
			m.name, m.sloppy = "text/xml", true
		} else if strings.Contains(lower, soapXML) {
			m.name, m.sloppy = soapXML, true
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
		if key == "" {
			continue
		}
		if m.params == nil {
			m.params = make(map[string]string, 2)
		}
		if _, ok := m.params[key]; !ok {
			m.params[key] = value
		}
	}
	return m
}

var charsetMark = regexp.MustCompile("(?i)charset=")

// nextParam cuts one key=value or key="value" off the front.
func nextParam(s string) (key, value, rest string) {
	i := strings.IndexAny(s, "=;")
	if i < 0 || s[i] == ';' {
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

// GuessVersion tells in which version to refuse a request whose envelope was not read: 1.2 when its Content-Type says
// so, else 1.1.
func GuessVersion(contentType string) Version { return parseMediaType(contentType).version() }

const soapXML = "application/soap+xml"

func (m mediaType) version() Version {
	if m.name == soapXML || m.params["start-info"] == soapXML || m.params["type"] == soapXML {
		return SOAP12
	}
	return SOAP11
}

// clean reports whether the name is one that can be gone by as it stands.
func (m mediaType) clean() bool {
	return m.takesSOAP() || m.name == "multipart/related" || m.name == "application/xop+xml"
}

// takesSOAP knows what real callers send SOAP as, nothing at all included.
func (m mediaType) takesSOAP() bool {
	switch m.name {
	case "", "text/xml", soapXML, "application/xml":
		return true
	}
	return false
}

func (m mediaType) check() *Fault {
	if m.takesSOAP() {
		return nil
	}
	f := HTTPFault(http.StatusUnsupportedMediaType, "Content-Type must be text/xml or application/soap+xml")
	return f.came("'" + m.name + "'")
}

// charset is the label, cut off where a proxy has joined two headers.
func (m mediaType) charset() string {
	label, _, _ := strings.Cut(m.params["charset"], ",")
	label, _, _ = strings.Cut(strings.TrimSpace(label), " ")
	return strings.Trim(label, `"`)
}
