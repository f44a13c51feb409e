package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lines are put into a file without touching what stands there, and over what says the same key.
func TestMerge(t *testing.T) {
	for name, tc := range map[string]struct{ file, lines, want string }{
		"new keys":   {"# mine\nlisten:   :8080\n\n\ncallers: {} # odd\n", "mimic:\n  no_declaration: true # seen\n", "# mine\nlisten:   :8080\n\n\ncallers: {} # odd\n\nmimic:\n  no_declaration: true # seen\n"},
		"empty file": {"", "mimic: {}\n", "\n\nmimic: {}\n"},
		"no lines":   {"listen: x\n", "", "listen: x\n"},
		"known keys": {"# mine\nmimic: {encoding_style: true} # was\nlisten: ${A}\ncontract:\n  values: {success: Done, failed: No}\n  operations:\n    eInvoiceCancel:\n      response: [{slot: irn, name: A}]\n",
			"contract:\n  values:\n    success: \"OK\"\n  operations:\n    eInvoiceCancel:\n      response:\n        - {slot: code, name: \"B\"} # \"200\"\nmimic:\n  no_declaration: true\n",
			"# mine\nmimic: {encoding_style: true, no_declaration: true} # was\nlisten: ${A}\ncontract:\n  values: {success: \"OK\", failed: No}\n  operations:\n    eInvoiceCancel:\n      response:\n        - {slot: code, name: \"B\"} # \"200\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Merge([]byte(tc.file), []byte(tc.lines))
			if diff := cmp.Diff(tc.want, string(got)); err != nil || diff != "" {
				t.Errorf("%v, -want +got:\n%s", err, diff)
			}
		})
	}
	if _, err := Merge([]byte("a: [1"), []byte("b: 1")); err == nil {
		t.Error("lines are put into a file that is none")
	}
}

// How answers look can be read by somebody who has none of the secrets, and nothing else of the file is looked at.
func TestParseAnswers(t *testing.T) {
	const file = "journal: ${NOT_SET}\nseal: file:/not/there\nnonsense: 1\ncontract:\n  namespace: ${NS}\n  values: {success: Done}\nmimic: {response_charset: iso-8859-1}\nforward:\n  url: ${NOT_SET}\n"
	env := func(name string) (string, bool) { return "urn:x", name == "NS" }
	f, err := ParseAnswers([]byte(file), "", env)
	if err != nil || f.Contract.Namespace != "urn:x" || f.Contract.Values.Success != "Done" || f.Mimic.ResponseCharset != "iso-8859-1" || f.Forward.URL != "" {
		t.Errorf("%v: %+v", err, f)
	}
	if _, err := ParseAnswers([]byte("mimic: {response_charset: utf-16}"), "", env); err == nil || !strings.Contains(err.Error(), "response_charset") {
		t.Errorf("a word that is none: %v", err)
	}
	if f, err := ParseAnswers(nil, "", env); err != nil || f.FaultDetail != "empty" {
		t.Errorf("of nothing: %v", err)
	}
}
