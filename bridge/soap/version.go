package soap

import (
	"strings"

	"einvoice-bridge/bridge/soap/payload"
)

// Version is the SOAP version of an envelope. The zero value is "not known yet" and is answered as SOAP 1.1.
type Version int

// The versions understood.
const (
	SOAP11 Version = 1
	SOAP12 Version = 2
)

// Namespaces of the envelope, its encodings and the headers that are understood.
const (
	ns11Envelope = "http://schemas.xmlsoap.org/soap/envelope/"
	ns12Envelope = "http://www.w3.org/2003/05/soap-envelope"
	ns11Encoding = "http://schemas.xmlsoap.org/soap/encoding/"
	ns12Encoding = "http://www.w3.org/2003/05/soap-encoding"
	ns12None     = "http://www.w3.org/2003/05/soap-envelope/encoding/none"
	nsRPC        = "http://www.w3.org/2003/05/soap-rpc"
	nsXSD        = "http://www.w3.org/2001/XMLSchema"
	nsXSI        = "http://www.w3.org/2001/XMLSchema-instance"
	nsXML        = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS      = "http://www.w3.org/2000/xmlns/"
)

// String returns "1.1" or "1.2".
func (v Version) String() string {
	if v == SOAP12 {
		return "1.2"
	}
	return "1.1"
}

func (v Version) namespace() string {
	if v == SOAP12 {
		return ns12Envelope
	}
	return ns11Envelope
}

// versionOf knows an envelope's namespace in the spellings that tutorials and templates have spread: https, a final slash
// too few or too many, and the draft of December 2001 that W3Schools printed, which the original answers as SOAP 1.1.
func versionOf(namespace string) Version {
	if rest, ok := strings.CutPrefix(namespace, "https://"); ok {
		namespace = "http://" + rest
	}
	switch strings.TrimSuffix(namespace, "/") {
	case "http://schemas.xmlsoap.org/soap/envelope", "http://www.w3.org/2001/12/soap-envelope":
		return SOAP11
	case ns12Envelope:
		return SOAP12
	}
	return 0
}

// canonical is the one spelling of a namespace name that the rest of the package compares with.
func canonical(namespace string) string {
	namespace = trimXML(namespace)
	if v := versionOf(namespace); v != 0 {
		return v.namespace()
	}
	return namespace
}

func (v Version) mediaType() string {
	if v == SOAP12 {
		return "application/soap+xml"
	}
	return "text/xml"
}

// GuessVersion tells in which version to refuse a request whose envelope was not read: 1.2 when its Content-Type says
// so, else 1.1.
func GuessVersion(contentType string) Version { return versionIn(payload.ParseMedia(contentType)) }

func versionIn(m payload.Media) Version {
	told := SOAP12.mediaType()
	if m.Name == told || m.Param("start-info") == told || m.Param("type") == told {
		return SOAP12
	}
	return SOAP11
}
