#!/bin/sh
# RSA with PKCS#1 v1.5 padding decrypts what was encrypted for another key: no error, but random bytes, the same each time.
#
# Hurt: whoever stands in for the Indian authority (which takes log-ins encrypted so) and wants to answer "decryption failed"
# to a client with the wrong public key, sandbox's for production's: no exception comes. Go's crypto/rsa gives an error.
# The bridge: only encrypts with such keys; what it decrypts is AES, and checked for its length and form.
# Source: implicit rejection, documented for OpenSSL's EVP_PKEY_decrypt since 3.2; the wheel brings its own OpenSSL.
set -eu
for tool in python3 go; do
	command -v $tool >/dev/null || { echo "needs python3 with venv, and Go: $tool is missing" >&2; exit 2; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check --no-cache-dir install --no-compile cryptography==50.0.2

cat >play.py <<'EOF'
from cryptography.hazmat.primitives.asymmetric import padding, rsa
keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
# The smaller modulus encrypts, since a number above the other's modulus is refused for that.
sandbox, production = sorted(keys, key=lambda k: k.public_key().public_numbers().n)
plain = b'{"UserName":"U","Password":"P"}'
rejected = repeated = 0
lengths = set()
for _ in range(50):
    secret = sandbox.public_key().encrypt(plain, padding.PKCS1v15())
    try:
        got = production.decrypt(secret, padding.PKCS1v15())
    except ValueError:
        rejected += 1
        continue
    assert got != plain
    lengths.add(len(got))
    repeated += got == production.decrypt(secret, padding.PKCS1v15())
print("Python: %d of 50 refused, %d gave bytes, the same ones when asked again" % (rejected, repeated))
print("Python: lengths differ:", len(lengths) > 10)
EOF
cat >main.go <<'EOF'
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

func main() {
	sandbox, _ := rsa.GenerateKey(rand.Reader, 2048)
	production, _ := rsa.GenerateKey(rand.Reader, 2048)
	secret, _ := rsa.EncryptPKCS1v15(rand.Reader, &sandbox.PublicKey, []byte("log-in"))
	_, err := rsa.DecryptPKCS1v15(nil, production, secret)
	fmt.Println("Go:", err)
}
EOF
seen=$(v/bin/python play.py; go run main.go)
echo "cryptography 50.0.2, $(go version); expected: an error for a key that doesn't fit"
printf "%s\n" "$seen"
[ "$seen" = "Python: 0 of 50 refused, 50 gave bytes, the same ones when asked again
Python: lengths differ: True
Go: crypto/rsa: decryption error" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
