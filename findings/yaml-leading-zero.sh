#!/bin/sh
# yaml.v3: state code 07 is the integer 7, 08 is the float 8, 010 is 8 once more; and the keys 07 and 7 are no duplicates, yet one.
#
# Hurt: whoever keeps India's state codes, or numbers with leading zeros, in YAML that is read without a type: the zeros are
# gone, the Go type depends on the digits (a switch on int misses 08 and 09 alone), and 010 meets 08. Two keys that differ
# as texts pass the check for duplicates, and the first of the two values is lost.
# The bridge: reads its configuration into strings, where each stays as it was written.
# Source: octal numbers with a leading zero are YAML 1.1's, and kept on purpose; the rest follows from it.
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

	"go.yaml.in/yaml/v3"
)

func main() {
	var codes []any
	if err := yaml.Unmarshal([]byte("[06, 07, 08, 09, 010, 27]"), &codes); err != nil {
		panic(err)
	}
	for _, code := range codes {
		fmt.Printf("%T %v; ", code, code)
	}
	fmt.Println()
	for _, in := range []string{"{7: Delhi, 7: old}", "{07: Delhi, 7: old}"} {
		var names map[any]any
		err := yaml.Unmarshal([]byte(in), &names)
		fmt.Println(in, "has", len(names), "and an error:", err != nil)
	}
}
EOF
export GOMODCACHE="$dir/mod" GOFLAGS="-modcacherw -trimpath"
go mod init play 2>/dev/null
go get go.yaml.in/yaml/v3@v3.0.5 2>/dev/null
seen=$(go run .)
echo "go.yaml.in/yaml/v3 v3.0.5; expected: one Go type for one kind of number, and two keys or an error for two keys"
printf "%s\n" "$seen"
[ "$seen" = "int 6; int 7; float64 8; float64 9; int 8; int 27; 
{7: Delhi, 7: old} has 0 and an error: true
{07: Delhi, 7: old} has 1 and an error: false" ] || { echo "CHANGED: not what this finding says any more" >&2; exit 1; }
