// Package publickey reads NIC's public key from whatever file it has ended up in, and says of any other file what it is.
package publickey

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

const wantedKey = `expected NIC's RSA public key: PEM, the bare base64 of it, DER, or an X.509 certificate`

// Parse reads NIC's public key in the forms in which it is handed out and saved: PEM (also indented or on one line),
// base64, DER; as SubjectPublicKeyInfo, PKCS #1 or certificate; with a byte order mark, and in UTF-16 as Windows' Notepad
// saves what it calls Unicode. fingerprint is the SHA-256 of its SPKI DER.
func Parse(file []byte) (key *rsa.PublicKey, fingerprint string, err error) {
	text := strings.TrimSpace(textIn(file))
	if text == "" {
		return nil, "", errors.New("public_key is missing or empty; " + wantedKey)
	}
	key, wrong := keyIn(text, file)
	if wrong == "" && key.Size() < 256 {
		wrong = fmt.Sprintf("an RSA key of only %d bits, where NIC has 2048", key.N.BitLen())
	}
	if wrong != "" {
		return nil, "", fmt.Errorf("public_key holds %s; %s", wrong, wantedKey)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	sum := sha256.Sum256(der)
	return key, hex.EncodeToString(sum[:]), err
}

// textIn is the file as text: UTF-16 is known by its byte order mark, or by the zeros that ASCII has in it.
func textIn(file []byte) string {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(file, []byte{0xff, 0xfe}), len(file) > 3 && file[0] != 0 && file[1] == 0 && file[3] == 0:
		order = binary.LittleEndian
	case bytes.HasPrefix(file, []byte{0xfe, 0xff}), len(file) > 3 && file[0] == 0 && file[1] != 0 && file[2] == 0:
		order = binary.BigEndian
	default:
		return strings.TrimPrefix(string(file), "\ufeff")
	}
	units := make([]uint16, 0, len(file)/2)
	for ; len(file) > 1; file = file[2:] {
		units = append(units, order.Uint16(file))
	}
	return strings.TrimPrefix(string(utf16.Decode(units)), "\ufeff")
}

var (
	pemBlock = regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END [A-Z0-9 ]+-----`)
	fileName = regexp.MustCompile(`(?i)^\S+\.(pem|cer|crt|der|key|pub|txt)$`)
)

// keyIn finds the key, or tells what there is instead and what to do about it. No part of the file is quoted but a name.
func keyIn(text string, file []byte) (key *rsa.PublicKey, wrong string) {
	blocks := pemBlock.FindAllStringSubmatch(text, -1)
	der, isBase64 := unbase64(strings.Trim(text, `"'`))
	switch {
	case strings.Contains(text, "PRIVATE KEY-----"):
		return nil, "a private key, which is nobody's to send: NIC hands out a public key of its own"
	case len(blocks) > 0:
		return keyInPEM(blocks)
	case strings.Contains(text, "-----BEGIN"):
		return nil, "PEM that breaks off, its END line is missing: copy it anew, whole"
	case isBase64:
		return keyInDER(der)
	case strings.HasPrefix(text, "ssh-"):
		return nil, "a key in OpenSSH's form: ssh-keygen -e -m PKCS8 -f FILE makes it PEM"
	case strings.HasPrefix(text, "<"):
		return nil, "a web page or XML: save the key itself"
	case fileName.MatchString(text):
		return nil, fmt.Sprintf("what looks like a file's name: write file:%s", text)
	case file[0] == 0x30 && !isText(text): // an ASN.1 SEQUENCE
		return keyInDER(file)
	case !isText(text):
		return nil, "bytes that are neither text nor DER: download it anew, and save text as UTF-8"
	}
	return nil, "text that is neither PEM nor base64"
}

func isText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == unicode.ReplacementChar || unicode.IsControl(r) && !unicode.IsSpace(r)
	})
}

// keyInPEM takes the first block that can be NIC's. Line breaks are gone from some files, in others they have become \n.
func keyInPEM(blocks [][]string) (*rsa.PublicKey, string) {
	for _, b := range blocks {
		if !slices.Contains([]string{"PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"}, b[1]) {
			continue
		}
		der, ok := unbase64(strings.NewReplacer(`\r`, "", `\n`, "").Replace(b[2]))
		if !ok {
			return nil, fmt.Sprintf("PEM %q that isn't base64 inside: copy it anew, whole", b[1])
		}
		return keyInDER(der)
	}
	return nil, fmt.Sprintf("PEM %q", blocks[0][1])
}

// unbase64 takes line breaks and blanks anywhere, and padding or none.
func unbase64(text string) ([]byte, bool) {
	text = strings.Join(strings.Fields(text), "")
	der, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return der, err == nil
}

func keyInDER(der []byte) (*rsa.PublicKey, string) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if cert, err := x509.ParseCertificate(der); err == nil {
			public = cert.PublicKey
		} else if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
			public = key
		}
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		return key, ""
	case nil:
		return nil, derKind(der)
	default:
		return nil, fmt.Sprintf("a key of another kind (%T)", key)
	}
}

// derKind says what DER is that is no public key.
func derKind(der []byte) string {
	_, pkcs8 := x509.ParsePKCS8PrivateKey(der)
	_, pkcs1 := x509.ParsePKCS1PrivateKey(der)
	_, request := x509.ParseCertificateRequest(der)
	switch {
	case pkcs8 == nil || pkcs1 == nil:
		return "a private key, which is nobody's to send: NIC hands out a public key of its own"
	case request == nil:
		return "a certificate request: it is the certificate that has NIC's key"
	}
	return "something that is neither a public key nor a certificate; if it should be one, it was cut or changed: copy it anew"
}
