package soap

import (
	"net/http"
	"strings"
)

// mediaType is a Content-Type with the parameters that matter, keys in lower case.
type mediaType struct {
	name   string // "text/xml", lower case
	params map[string]string
}

// parseMediaType is more lenient than package mime, which drops all parameters over one bare
// action=urn:server#eInvoiceCancel (KDSoap). Of a repeated parameter the first counts.
func parseMediaType(s string) mediaType {
	name, rest, _ := strings.Cut(s, ";")
	m := mediaType{name: strings.ToLower(strings.TrimSpace(name))}
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

func (m mediaType) version() Version {
	const soap12 = "application/soap+xml"
	if m.name == soap12 || m.params["start-info"] == soap12 || m.params["type"] == soap12 {
		return SOAP12
	}
	return SOAP11
}

// checkMediaType takes what real callers send SOAP as, nothing at all included.
func checkMediaType(name string) *Fault {
	switch name {
	case "", "text/xml", "application/soap+xml", "application/xml":
		return nil
	}
	return HTTPFault(http.StatusUnsupportedMediaType, "Content-Type must be text/xml or application/soap+xml")
}
