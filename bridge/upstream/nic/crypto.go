package nic

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// NIC prescribes AES-256 in ECB mode with PKCS#7 padding. The standard library has no ECB, for good reasons; here it
// is the protocol.

// seal pads plain and encrypts it.
func seal(b cipher.Block, plain []byte) []byte {
	n := b.BlockSize() - len(plain)%b.BlockSize()
	out := make([]byte, 0, len(plain)+n)
	out = append(out, plain...)
	out = append(out, bytes.Repeat([]byte{byte(n)}, n)...)
	for at := 0; at < len(out); at += b.BlockSize() {
		b.Encrypt(out[at:], out[at:])
	}
	return out
}

var errSealed = errors.New("data can't be decrypted")

// unseal decrypts and unpads. It says nothing about which step failed.
func unseal(b cipher.Block, sealed []byte) ([]byte, error) {
	size := b.BlockSize()
	if len(sealed) == 0 || len(sealed)%size != 0 {
		return nil, errSealed
	}
	out := make([]byte, len(sealed))
	for at := 0; at < len(out); at += size {
		b.Decrypt(out[at:], sealed[at:])
	}
	n := int(out[len(out)-1])
	if n == 0 || n > size {
		return nil, errSealed
	}
	for _, pad := range out[len(out)-n:] {
		if int(pad) != n {
			return nil, errSealed
		}
	}
	return out[:len(out)-n], nil
}

// unseal64 is unseal for base64 text.
func unseal64(b cipher.Block, text []byte) ([]byte, error) {
	sealed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(sealed, text)
	if err != nil {
		return nil, errSealed
	}
	return unseal(b, sealed[:n])
}

// encryptRSA is RSA with PKCS#1 v1.5 padding, as base64.
func encryptRSA(key *rsa.PublicKey, plain []byte) (string, error) {
	//lint:ignore SA1019 NIC prescribes PKCS #1 v1.5.
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, key, plain)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

const wantedKey = `expected NIC's RSA public key: PEM "PUBLIC KEY", the bare base64 of it, or an X.509 certificate`

// parseKey reads NIC's public key in the forms in which it is handed out. fingerprint is the SHA-256 of its SPKI DER.
func parseKey(file []byte) (key *rsa.PublicKey, fingerprint string, err error) {
	fail := func(holds string) (*rsa.PublicKey, string, error) {
		return nil, "", fmt.Errorf("public_key holds %s; %s", holds, wantedKey)
	}
	file = bytes.TrimSpace(bytes.TrimPrefix(file, []byte("\ufeff")))
	if len(file) == 0 {
		return nil, "", errors.New("public_key is missing or empty; " + wantedKey)
	}
	der := file
	if block, _ := pem.Decode(file); block != nil {
		if bytes.Contains([]byte(block.Type), []byte("PRIVATE")) {
			return fail("a private key")
		}
		if block.Type != "PUBLIC KEY" && block.Type != "CERTIFICATE" {
			return fail(fmt.Sprintf("PEM %q", block.Type))
		}
		der = block.Bytes
	} else if raw, err := base64.StdEncoding.DecodeString(string(file)); err == nil { // line breaks are skipped
		der = raw
	}
	var public any
	if public, err = x509.ParsePKIXPublicKey(der); err != nil {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fail("something that is neither a public key nor a certificate")
		}
		public, der = cert.PublicKey, cert.RawSubjectPublicKeyInfo
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return fail(fmt.Sprintf("a key of another kind (%T)", public))
	}
	if key.Size() < 256 {
		return fail(fmt.Sprintf("an RSA key of only %d bits, where NIC has 2048", key.N.BitLen()))
	}
	sum := sha256.Sum256(der)
	return key, hex.EncodeToString(sum[:]), nil
}
