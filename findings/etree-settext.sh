#!/bin/sh
# etree: after SetText("new"), Text() may be "newold".
#
# Hurt: whoever changes a value in somebody else's XML. Text joins all text up to the first child element, in CDATA and behind
# comments too, but SetText replaces only what stands before the first comment. No error; the old value stays in the document.
# Source: both document "character data immediately following the opening tag"; the two mean different things by it.
# The bridge: reads with etree and changes nothing in a tree.
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
	for _, in := range []string{"<r>old</r>", "<r><![CDATA[old]]></r>", "<r>ol<![CDATA[d]]></r>", "<r><!-- clerk's -->old</r>", "<r>ol<!-- -->d</r>"} {
		doc := etree.NewDocument()
		if err := doc.ReadFromString(in); err != nil {
			panic(err)
		}
		before := doc.Root().Text()
		doc.Root().SetText("new")
		out, _ := doc.WriteToString()
		fmt.Printf("%s: %s, then %s: %s\n", in, before, doc.Root().Text(), out)
	}
}
EOF
export GOMODCACHE="$dir/mod" GOFLAGS="-modcacherw -trimpath"
go mod init play 2>/dev/null
go get github.com/beevik/etree@v1.8.1 2>/dev/null
seen=$(go run .)
echo "etree v1.8.1; expected: Text is what SetText set"
printf "%s\n" "$seen"
[ "$seen" = "<r>old</r>: old, then new: <r>new</r>
<r><![CDATA[old]]></r>: old, then new: <r>new</r>
<r>ol<![CDATA[d]]></r>: old, then new: <r>new</r>
<r><!-- clerk's -->old</r>: old, then newold: <r>new<!-- clerk's -->old</r>
<r>ol<!-- -->d</r>: old, then newd: <r>new<!-- -->d</r>" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
