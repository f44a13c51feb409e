package access

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern tells whether a certificate is one that a caller may show.
type pattern func(*x509.Certificate) bool

// newPattern reads one entry of CallerConfig.Certificates.
func newPattern(s string) (pattern, error) {
	kind, value, _ := strings.Cut(s, ":")
	switch kind {
	case "sha256":
		want, err := hex.DecodeString(strings.ReplaceAll(value, ":", "")) // openssl prints it with colons
		if err != nil || len(want) != sha256.Size {
			return nil, fmt.Errorf("%q is not sha256: and the 64 hexadecimal digits of a fingerprint", s)
		}
		return func(c *x509.Certificate) bool { return sha256.Sum256(c.Raw) == [sha256.Size]byte(want) }, nil
	case "subject":
		want, err := parseName(value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		backwards := slices.Clone(want) // tools print a name from either end
		slices.Reverse(backwards)
		return func(c *x509.Certificate) bool {
			has := subjectOf(c)
			return slices.Equal(has, want) || slices.Equal(has, backwards)
		}, nil
	case "dns":
		if value == "" || strings.ContainsAny(value, " */:") {
			return nil, fmt.Errorf("%q names no host", s)
		}
		return func(c *x509.Certificate) bool {
			return slices.ContainsFunc(c.DNSNames, func(name string) bool { return strings.EqualFold(name, value) })
		}, nil
	}
	return nil, fmt.Errorf("%q is no certificate; write sha256:FINGERPRINT, subject:CN=…,O=… or dns:NAME", s)
}

// Fingerprint is a certificate's SHA-256 as it is written in the configuration.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Subject is a certificate's subject (RFC 4514) as it is written in the configuration.
func Subject(c *x509.Certificate) string {
	var parts []string
	for _, a := range slices.Backward(subjectOf(c)) {
		parts = append(parts, typeName(a.oid)+"="+escape(a.value))
	}
	return "subject:" + strings.Join(parts, ",")
}

// attribute is one part of a distinguished name; oid is dotted.
type attribute struct{ oid, value string }

// subjectOf is a certificate's subject in its own order.
func subjectOf(c *x509.Certificate) []attribute {
	var all []attribute
	for _, a := range c.Subject.Names {
		all = append(all, attribute{a.Type.String(), fmt.Sprint(a.Value)})
	}
	return all
}

// types are the attributes that names have in practice, by RFC 4514 §3 and by what OpenSSL, Java and Windows print.
// The first name of an identifier is the one that Subject writes; what is not here is written as its identifier.
var types = []struct{ name, oid string }{
	{"CN", "2.5.4.3"}, {"O", "2.5.4.10"}, {"OU", "2.5.4.11"}, {"C", "2.5.4.6"}, {"L", "2.5.4.7"},
	{"ST", "2.5.4.8"}, {"S", "2.5.4.8"}, {"STREET", "2.5.4.9"}, {"POSTALCODE", "2.5.4.17"}, {"SERIALNUMBER", "2.5.4.5"},
	{"DC", "0.9.2342.19200300.100.1.25"}, {"UID", "0.9.2342.19200300.100.1.1"},
	{"EMAILADDRESS", "1.2.840.113549.1.9.1"}, {"E", "1.2.840.113549.1.9.1"},
}

func typeName(oid string) string {
	for _, t := range types {
		if t.oid == oid {
			return t.name
		}
	}
	return oid
}

func typeOID(name string) (string, error) {
	name = strings.ToUpper(strings.TrimSpace(name))
	for _, t := range types {
		if t.name == name {
			return t.oid, nil
		}
	}
	oid := strings.TrimPrefix(name, "OID.")
	if !strings.Contains(oid, ".") || strings.Trim(oid, "0123456789.") != "" {
		return "", fmt.Errorf("%q is no attribute of a name", name)
	}
	return oid, nil
}

// parseName reads a distinguished name as RFC 4514 has it, with the spaces and quotation marks that tools add.
func parseName(s string) ([]attribute, error) {
	var all []attribute
	for {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, errors.New("a name is written CN=…,O=…, all of it, as the certificate has it")
		}
		oid, err := typeOID(name)
		if err != nil {
			return nil, err
		}
		value, rest, err := parseValue(strings.TrimLeft(rest, " "))
		if err != nil {
			return nil, err
		}
		all = append(all, attribute{oid, value})
		if rest == "" {
			return all, nil
		}
		s = rest[1:]
	}
}

// parseValue reads up to the separator that ends the value.
func parseValue(s string) (value, rest string, err error) {
	var b []byte
	quoted, end := false, 0 // end is behind the last byte that is no trailing space
	for s != "" && (quoted || !strings.ContainsRune(",+;", rune(s[0]))) {
		c, size, meant := s[0], 1, quoted
		switch c {
		case '"':
			quoted, end, s = !quoted, len(b), s[1:]
			continue
		case '\\':
			c, size = unescape(s)
			meant = true
		}
		b, s = append(b, c), s[size:]
		if meant || c != ' ' {
			end = len(b)
		}
	}
	if quoted {
		return "", "", errors.New("a quotation mark is not closed")
	}
	return string(b[:end]), s, nil
}

// unescape reads \XX or \ and a character, and how long that was.
func unescape(s string) (byte, int) {
	if len(s) >= 3 {
		if raw, err := hex.DecodeString(s[1:3]); err == nil {
			return raw[0], 3
		}
	}
	if len(s) >= 2 {
		return s[1], 2
	}
	return s[0], 1
}

// escape writes a value so that parseValue reads it again (RFC 4514 §2.4).
func escape(value string) string {
	var b strings.Builder
	for i, r := range value {
		_, size := utf8.DecodeRuneInString(value[i:])
		outer := i == 0 || i == len(value)-1
		switch {
		case r < ' ', r == 0x7f, r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\%02X`, value[i])
		case strings.ContainsRune(`,+"\<>;=`, r), r == ' ' && outer, r == '#' && i == 0:
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
