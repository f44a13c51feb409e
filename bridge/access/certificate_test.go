package access_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"einvoice-bridge/bridge/access"
)

// certificate makes one of a subject and host names. Access looks at certificates that TLS has verified, so who signed
// it does not matter here.
func certificate(t interface{ Fatal(...any) }, subject pkix.Name, hosts ...string) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject, DNSNames: hosts,
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func acme(cn string) pkix.Name {
	return pkix.Name{Country: []string{"IN"}, Organization: []string{"Acme, Inc."}, CommonName: cn}
}

const (
	noCertificate    = "caller must show a certificate, and its connection shows none"
	otherCertificate = "the connection shows a certificate that is not the caller's"
	endedCertificate = "the caller's certificate has expired"
)

// A token of a caller with certificates is worth something only over a connection that shows one of them.
func TestCertificates(t *testing.T) {
	erp, renewed, stranger := certificate(t, acme("erp"), "erp.acme.example"), certificate(t, acme("erp")), certificate(t, acme("hr"), "hr.acme.example")
	colons := func(s string) string {
		var b strings.Builder
		b.WriteString("sha256")
		for hex := strings.ToUpper(strings.TrimPrefix(s, "sha256:")); hex != ""; hex = hex[2:] {
			b.WriteString(":" + hex[:2])
		}
		return b.String()
	}
	for name, tc := range map[string]struct {
		certificates []string
		shown        *x509.Certificate
		want         string
	}{
		"none asked for, none shown":          {nil, nil, "sap"},
		"none asked for, any shown":           {nil, stranger, "sap"},
		"its fingerprint":                     {[]string{access.Fingerprint(erp)}, erp, "sap"},
		"as openssl prints it":                {[]string{colons(access.Fingerprint(erp))}, erp, "sap"},
		"a token alone":                       {[]string{access.Fingerprint(erp)}, nil, noCertificate},
		"another's":                           {[]string{access.Fingerprint(erp)}, stranger, otherCertificate},
		"renewed under the same name":         {[]string{access.Fingerprint(erp)}, renewed, otherCertificate},
		"old while both are listed":           {[]string{access.Fingerprint(erp), access.Fingerprint(renewed)}, erp, "sap"},
		"new while both are listed":           {[]string{access.Fingerprint(erp), access.Fingerprint(renewed)}, renewed, "sap"},
		"its subject":                         {[]string{`subject:CN=erp,O=Acme\, Inc.,C=IN`}, renewed, "sap"},
		"its subject as the log shows it":     {[]string{access.Subject(erp)}, erp, "sap"},
		"its subject as openssl prints it":    {[]string{`subject:C = IN, O = "Acme, Inc.", CN = erp`}, erp, "sap"},
		"its subject as Windows prints it":    {[]string{`subject:CN=erp, O="Acme, Inc.", C=IN`}, erp, "sap"},
		"its subject by identifiers":          {[]string{`subject:2.5.4.3=erp,OID.2.5.4.10=Acme\2C Inc.,c=IN`}, erp, "sap"},
		"a part of its subject":               {[]string{"subject:CN=erp"}, erp, otherCertificate},
		"its subject and more":                {[]string{`subject:CN=erp,OU=x,O=Acme\, Inc.,C=IN`}, erp, otherCertificate},
		"its subject in other letters":        {[]string{`subject:CN=ERP,O=Acme\, Inc.,C=IN`}, erp, otherCertificate},
		"its subject in no order":             {[]string{`subject:O=Acme\, Inc.,CN=erp,C=IN`}, erp, otherCertificate},
		"another's subject":                   {[]string{access.Subject(erp)}, stranger, otherCertificate},
		"its host name":                       {[]string{"dns:ERP.acme.example"}, erp, "sap"},
		"another's host name":                 {[]string{"dns:erp.acme.example"}, stranger, otherCertificate},
		"its common name is no host name":     {[]string{"dns:erp"}, erp, otherCertificate},
		"one of several kinds":                {[]string{"dns:erp.acme.example", access.Fingerprint(stranger)}, stranger, "sap"},
		"a certificate without any such name": {[]string{"dns:erp.acme.example"}, certificate(t, pkix.Name{}), otherCertificate},
	} {
		w := newWorld(t, func(c *access.Config) { c.Callers[0].Certificates = tc.certificates })
		from := access.Origin{Addr: here.Addr, Certificate: tc.shown}
		expect(t, name, w.who("long-lived", from), tc.want)
		c, err := w.Basic(t.Context(), basic("sapuser:sappass"), from)
		expect(t, name+", Basic", nameOf(c, err), tc.want)
		_, err = w.Login(t.Context(), loginFrom(from))
		if ok := err == nil; ok != (tc.want == "sap") {
			t.Errorf("%s, log in: %v", name, err)
		}
	}
}

func loginFrom(o access.Origin) access.Login {
	l := good()
	l.From = o
	return l
}

// A token that was issued over a good connection is worth nothing without one.
func TestIssuedTokenNeedsTheCertificate(t *testing.T) {
	erp := certificate(t, acme("erp"))
	w := newWorld(t, func(c *access.Config) { c.Callers[0].Certificates = []string{access.Fingerprint(erp)} })
	with := access.Origin{Addr: here.Addr, Certificate: erp}
	got, err := w.Login(t.Context(), loginFrom(with))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "with the certificate", w.who(got.Token, with), "sap")
	expect(t, "stolen", w.who(got.Token, here), noCertificate)
}

// A connection that stays open for weeks ends with its certificate.
func TestCertificateExpiresOnAnOpenConnection(t *testing.T) {
	erp := certificate(t, acme("erp"))
	w := newWorld(t, func(c *access.Config) { c.Callers[0].Certificates = []string{access.Fingerprint(erp)} })
	with := access.Origin{Addr: here.Addr, Certificate: erp}
	expect(t, "before", w.who("long-lived", with), "sap")
	w.pass(31 * 24 * time.Hour)
	expect(t, "after", w.who("long-lived", with), endedCertificate)
}

// The caller hears what anybody hears; the log gets the caller's name and the reason.
func TestOriginErrorsNameTheCaller(t *testing.T) {
	erp := certificate(t, acme("erp"))
	w := newWorld(t, func(c *access.Config) { c.Callers[0].Certificates = []string{access.Fingerprint(erp)} })
	_, err := w.Authenticate(context.Background(), "long-lived", here)
	var where *access.OriginError
	if !errors.As(err, &where) || where.Caller != "sap" || where.Why != noCertificate {
		t.Errorf("token: %#v", err)
	}
	_, err = w.Login(t.Context(), good())
	var denied *access.DeniedError
	if !errors.As(err, &denied) || denied.Caller != "sap" || denied.Description != "The client credentials are invalid" ||
		err.Error() != "login refused: "+noCertificate {
		t.Errorf("log in: %#v", err)
	}
}

func TestCertificatePatternsRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                                  "is no certificate; write sha256:FINGERPRINT, subject:CN=…,O=… or dns:NAME",
		"erp.pem":                           "is no certificate",
		"CN=erp":                            "is no certificate",
		"sha1:" + strings.Repeat("0", 40):   "is no certificate",
		"sha256:" + strings.Repeat("0", 63): "64 hexadecimal digits",
		"sha256:" + strings.Repeat("g", 64): "64 hexadecimal digits",
		"subject:":                          "a name is written CN=…,O=…",
		"subject:erp":                       "a name is written CN=…,O=…",
		"subject:CN=erp,":                   "a name is written CN=…,O=…",
		"subject:NAME=erp":                  `"NAME" is no attribute of a name`,
		"subject:/CN=erp/O=Acme":            `"/CN" is no attribute of a name`,
		`subject:CN="erp`:                   "a quotation mark is not closed",
		"dns:":                              "names no host",
		"dns:*.acme.example":                "names no host",
		"dns:https://erp":                   "names no host",
	} {
		_, err := access.New(access.Config{Callers: []access.CallerConfig{{Name: "sap", Within: time.Minute, Certificates: []string{pattern}}}}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), `caller "sap": certificates: `) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}

// What the log shows as a subject can be written into the configuration as it stands, whatever is in it.
func TestSubjectIsReadAgain(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var name pkix.Name
		for range rapid.IntRange(1, 4).Draw(r, "attributes") {
			name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{
				Type:  rapid.SampledFrom([]asn1.ObjectIdentifier{{2, 5, 4, 3}, {2, 5, 4, 10}, {2, 5, 4, 11}, {1, 2, 3, 4}}).Draw(r, "type"),
				Value: rapid.StringOfN(rapid.OneOf(rapid.RuneFrom([]rune(` ,+"\<>;=#`)), rapid.Rune()), 0, 8, -1).Draw(r, "value"),
			})
		}
		c := certificate(r, name)
		w := newWorld(t, func(cfg *access.Config) { cfg.Callers[0].Certificates = []string{access.Subject(c)} })
		if got := w.who("long-lived", access.Origin{Addr: here.Addr, Certificate: c}); got != "sap" {
			r.Errorf("%s: %s", access.Subject(c), got)
		}
	})
}

func FuzzCertificatePattern(f *testing.F) {
	f.Add(`subject:CN=erp, O="Acme, Inc.",1.2.3=\41\,\`)
	f.Add("sha256:AA:BB")
	f.Add("dns:erp.acme.example")
	erp := certificate(f, acme("erp"), "erp.acme.example")
	f.Fuzz(func(t *testing.T, pattern string) {
		cfg := access.Config{Callers: []access.CallerConfig{{Name: "sap", Within: time.Minute, Tokens: []string{"sha256:" + access.HashToken("t")}, Certificates: []string{pattern}}}}
		a, err := access.New(cfg, nil)
		if err != nil {
			return
		}
		if _, err := a.Authenticate(t.Context(), "t", here); err == nil {
			t.Errorf("%q lets in without a certificate", pattern)
		}
		_, _ = a.Authenticate(t.Context(), "t", access.Origin{Addr: here.Addr, Certificate: erp})
	})
}
