package nic

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
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
