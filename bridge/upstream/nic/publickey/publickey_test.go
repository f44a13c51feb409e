package publickey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// nicKey is NIC's side of the RSA encryption in these tests, made once.
var nicKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func spki(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func publicPEM(t testing.TB) []byte { return pemOf("PUBLIC KEY", spki(t, &nicKey().PublicKey)) }

func certificate(t *testing.T) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "NIC"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &nicKey().PublicKey, nicKey())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// inUTF16 is a text as Windows' Notepad saves it as "Unicode" ("Unicode big endian").
func inUTF16(order binary.AppendByteOrder, text string) (file []byte) {
	for _, u := range utf16.Encode([]rune(text)) {
		file = order.AppendUint16(file, u)
	}
	return file
}

// The forms in which NIC's key is handed out and ends up in files (seen with clients up to 2026-11).
func TestParseForms(t *testing.T) {
	der := spki(t, &nicKey().PublicKey)
	text := base64.StdEncoding.EncodeToString(der)
	folded := text[:76] + "\r\n" + text[76:152] + "\n" + text[152:] + "\n"
	cert := certificate(t)
	pem, pkcs1 := string(pemOf("PUBLIC KEY", der)), x509.MarshalPKCS1PublicKey(&nicKey().PublicKey)
	prints := map[string]bool{}
	for name, file := range map[string][]byte{
		"PEM":                       []byte(pem),
		"PEM after a BOM":           []byte("\ufeff" + pem),
		"PEM with CRLF":             []byte(strings.ReplaceAll(pem, "\n", "\r\n")),
		"PEM with words before":     []byte("NIC sandbox, 2025\n" + pem),
		"PEM, indented":             []byte("    " + strings.ReplaceAll(pem, "\n", "\n    ")),
		"PEM on one line":           []byte(strings.ReplaceAll(pem, "\n", " ")),
		"PEM on one line, no blank": []byte(strings.ReplaceAll(pem, "\n", "")),
		"PEM with written breaks":   []byte(strings.ReplaceAll(pem, "\n", `\n`)),
		"PEM in UTF-16":             inUTF16(binary.LittleEndian, "\ufeff"+strings.ReplaceAll(pem, "\n", "\r\n")),
		"PEM in UTF-16, big endian": inUTF16(binary.BigEndian, "\ufeff"+pem),
		"UTF-16 without a BOM":      inUTF16(binary.LittleEndian, pem),
		"bare base64 in UTF-16":     inUTF16(binary.BigEndian, text),
		"PKCS #1":                   pemOf("RSA PUBLIC KEY", pkcs1),
		"PKCS #1, DER":              pkcs1,
		"PKCS #1, bare base64":      []byte(base64.StdEncoding.EncodeToString(pkcs1)),
		"bare base64":               []byte(text),
		"bare base64, no padding":   []byte(strings.TrimRight(text, "=")),
		"bare base64, quoted":       []byte(`"` + text + `"`),
		"bare base64 with lines":    []byte(folded),
		"bare base64 after a BOM":   []byte("\ufeff  " + folded),
		"DER":                       der,
		"certificate":               pemOf("CERTIFICATE", cert),
		"certificate, DER":          cert,
		"certificate as base64":     []byte(base64.StdEncoding.EncodeToString(cert)),
	} {
		key, print, err := Parse(file)
		if err != nil || !key.Equal(&nicKey().PublicKey) || len(print) != 64 {
			t.Errorf("%s: %v", name, err)
		}
		prints[print] = true
	}
	if len(prints) != 1 {
		t.Errorf("one key, fingerprints %v", prints)
	}
}

func TestParseTellsWhatTheFileHolds(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	small := &rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 1023), big.NewInt(1)), E: 65537}
	pem := string(publicPEM(t))
	request, _ := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, nicKey())
	private := x509.MarshalPKCS1PrivateKey(nicKey())
	tests := []struct {
		name, want string
		file       []byte
	}{
		{"nothing", "public_key is missing or empty; ", nil},
		{"empty", "public_key is missing or empty; ", []byte(" \n")},
		{"private key", "a private key", pemOf("PRIVATE KEY", []byte("x"))},
		{"RSA private key", "a private key", pemOf("RSA PRIVATE KEY", private)},
		{"private key beside a certificate", "a private key", append(pemOf("CERTIFICATE", certificate(t)), pemOf("PRIVATE KEY", nil)...)},
		{"private key in UTF-16", "a private key", inUTF16(binary.LittleEndian, string(pemOf("RSA PRIVATE KEY", private)))},
		{"private key, DER", "a private key", private},
		{"request", `PEM "CERTIFICATE REQUEST"; `, pemOf("CERTIFICATE REQUEST", []byte("x"))},
		{"request, DER", "a certificate request", request},
		{"elliptic key", "a key of another kind (*ecdsa.PublicKey); ", pemOf("PUBLIC KEY", spki(t, &ec.PublicKey))},
		{"elliptic key, DER", "a key of another kind (*ecdsa.PublicKey); ", spki(t, &ec.PublicKey)},
		{"short key", "an RSA key of only 1024 bits, where NIC has 2048; ", pemOf("PUBLIC KEY", spki(t, small))},
		{"a page", "a web page or XML", []byte("<html>")},
		{"half of it", "its END line is missing", []byte(pem[:200])},
		{"torn inside", "that isn't base64 inside", []byte(strings.Replace(pem, "M", "*", 1))},
		{"letters lost", "it was cut or changed", []byte(strings.Replace(pem, pem[40:80], "", 1))},
		{"a name", "write file:nic.pem", []byte("nic.pem")},
		{"OpenSSH", "ssh-keygen", []byte("ssh-rsa AAAAB3NzaC1yc2E= a@b")},
		{"words", "text that is neither PEM nor base64", []byte("to be sent by NIC, soon")},
		{"UTF-16 words", "text that is neither PEM nor base64", inUTF16(binary.LittleEndian, "\ufeffto be sent by NIC, soon")},
		{"an archive", "neither text nor DER", []byte("PK\x03\x04\xff\xfe")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Parse(tt.file)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasSuffix(err.Error(), wantedKey) {
				t.Errorf("error %v", err)
			}
		})
	}
}
