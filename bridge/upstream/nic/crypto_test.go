package nic

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"einvoice-bridge/bridge/upstream"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"einvoice-bridge/bridge"
)

const vectorIRN = "a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229"

const fixtures = "../../../fixtures/nic/"

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(fixtures + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectors are the files of vectors.txtar by name, without their line feeds.
func vectors(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, f := range txtar.Parse(fixture(t, "vectors.txtar")).Files {
		all[f.Name] = strings.TrimSpace(string(f.Data))
	}
	return all
}

// vectorBlock is AES with one of the keys of vectors.txtar.
func vectorBlock(t testing.TB, name string) cipher.Block {
	t.Helper()
	key, err := hex.DecodeString(vectors(t)[name])
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

func TestSekOfThePublishedPair(t *testing.T) {
	v := vectors(t)
	block := vectorBlock(t, "appkey.hex")
	sek, err := unseal64(block, []byte(v["sek.wrapped"]))
	if err != nil || hex.EncodeToString(sek) != v["sek.hex"] {
		t.Fatalf("SEK %x, %v", sek, err)
	}
	if got := base64.StdEncoding.EncodeToString(seal(block, sek)); got != v["sek.wrapped"] {
		t.Errorf("wrapped again: %s", got)
	}
}

func TestSealVectors(t *testing.T) {
	v, block := vectors(t), vectorBlock(t, "sek.hex")
	for _, name := range []string{"fox", "cancel", "reply"} {
		t.Run(name, func(t *testing.T) {
			text, sealed := v[name+"/plain"], v[name+"/sealed"]
			if got := base64.StdEncoding.EncodeToString(seal(block, []byte(text))); got != sealed {
				t.Errorf("sealed\n got %s\nwant %s", got, sealed)
			}
			plain, err := unseal64(block, []byte(sealed))
			if err != nil || string(plain) != text {
				t.Errorf("unsealed %q, %v", plain, err)
			}
		})
	}
	if got := string(upstream.JSON(cancelRequest{vectorIRN, "1", "Wrong entry"})); got != v["cancel/plain"] {
		t.Errorf("our own JSON of it: %s", got)
	}
}

func TestUnsealRefuses(t *testing.T) {
	block := vectorBlock(t, "sek.hex")
	raw := func(lastBytes ...byte) []byte { // a block with this end, encrypted without padding
		b := make([]byte, 16)
		copy(b[16-len(lastBytes):], lastBytes)
		block.Encrypt(b, b)
		return b
	}
	for name, sealed := range map[string][]byte{
		"nothing":           {},
		"half a block":      make([]byte, 24),
		"padding of 0":      raw(0),
		"padding of 17":     raw(17),
		"padding of 255":    raw(255),
		"unequal padding":   raw(3, 2, 3),
		"padding too short": raw(1, 3, 3),
	} {
		if plain, err := unseal(block, sealed); err == nil {
			t.Errorf("%s: unsealed as %q", name, plain)
		}
	}
	for _, text := range []string{"", "not base64!", "AAAA"} {
		if _, err := unseal64(block, []byte(text)); err == nil {
			t.Errorf("%q was unsealed", text)
		}
	}
	full, err := unseal(block, seal(block, make([]byte, 16)))
	if err != nil || len(full) != 16 {
		t.Errorf("a full block of padding: %d bytes, %v", len(full), err)
	}
}

// NICKey is NIC's side of the RSA encryption in all tests of this package, made once.
var NICKey = sync.OnceValue(func() *rsa.PrivateKey {
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

func publicPEM(t testing.TB) []byte { return pemOf("PUBLIC KEY", spki(t, &NICKey().PublicKey)) }

func TestLoginFitsOneBlockUpTo183Bytes(t *testing.T) {
	key := &NICKey().PublicKey
	cfg := Config{AuthVersion: Auth104, Username: "user-name-1"}
	cfg.Password = bridge.Secret(strings.Repeat("p", 66-len(cfg.Username)))
	plain := credentials(cfg.Username, cfg.Password.Reveal(), strings.Repeat("A", 44), false)
	if len(plain) != 183 {
		t.Fatalf("the longest login has %d bytes", len(plain))
	}
	if err := cfg.checkLength(key); err != nil {
		t.Errorf("183 bytes: %v", err)
	}
	if _, err := encryptRSA(key, []byte(base64.StdEncoding.EncodeToString(plain))); err != nil {
		t.Errorf("183 bytes: %v", err)
	}
	cfg.Password += "p"
	if _, err := encryptRSA(key, []byte(base64.StdEncoding.EncodeToString(append(plain, 'p')))); err == nil {
		t.Error("184 bytes fit after all")
	}
	const want = "username and password are too long, by 1 bytes: authentication 1.04 with this key carries 66 bytes for both together, as JSON writes them, and these have 67"
	if err := cfg.checkLength(key); err == nil || err.Error() != want {
		t.Errorf("184 bytes: %v", err)
	}
	cfg.Password = bridge.Secret(strings.Repeat(`"`, 30)) // each becomes two
	if err := cfg.checkLength(key); err == nil || !strings.Contains(err.Error(), "are too long, by 5 bytes") {
		t.Errorf("quotes: %v", err)
	}
	cfg.Password = bridge.Secret(strings.Repeat("<", 55)) // each stays one
	if err := cfg.checkLength(key); err != nil {
		t.Errorf("angle brackets: %v", err)
	}
	cfg.AuthVersion, cfg.Password = Auth103, bridge.Secret(strings.Repeat("p", 246))
	if err := cfg.checkLength(key); err == nil || !strings.Contains(err.Error(), "password is too long, by 1 bytes") {
		t.Errorf("legacy: %v", err)
	}
}
