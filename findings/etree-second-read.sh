#!/bin/sh
# etree: a Document that is read into again keeps the first document, and Root() goes on showing that one.
#
# Hurt: whoever keeps a Document to use it again, as one does with decoders and buffers: every later answer is the first.
# No error comes; what is written out has as many roots as there were reads.
# The bridge: makes a Document for each message.
set -eu
command -v go >/dev/null || { echo "needs Go 1.26" >&2; exit 2; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
cd "$dir"
cat >main.go <<'EOF'
package main

import (
	"fmt"

	"github.com/beevik/etree"
)

func main() {
	doc := etree.NewDocument()
	for _, answer := range []string{"<status>active</status>", "<status>cancelled</status>"} {
		err := doc.ReadFromString(answer)
		fmt.Printf("read %s (%v): Root says %s\n", answer, err, doc.Root().Text())
	}
	out, _ := doc.WriteToString()
	fmt.Println("written:", out)
}
EOF
export GOMODCACHE="$dir/mod" GOFLAGS="-modcacherw -trimpath"
go mod init play 2>/dev/null
go get github.com/beevik/etree@v1.8.1 2>/dev/null
seen=$(go run .)
echo "etree v1.8.1; expected: the document that was read last, or an error"
printf "%s\n" "$seen"
[ "$seen" = "read <status>active</status> (<nil>): Root says active
read <status>cancelled</status> (<nil>): Root says active
written: <status>active</status><status>cancelled</status>" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
