package soap

import (
	"strings"
	"testing"
)

func TestAppendText(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"plain":                           "plain",
		`<a b="c">&'`:                     "&lt;a b=&quot;c&quot;&gt;&amp;&apos;",
		"é ₹ 😀":                           "&#233; &#8377; &#128512;",
		"tab\tline\nreturn\r":             "tab\tline\nreturn&#13;",
		"nul\x00bell\x07escape\x1b":       "nulbellescape",
		"\uFFFE\uFFFF\uFFFD":              "&#65533;",
		"not utf-8 \xff\xc3 \xed\xa0\x80": "not utf-8  ",
		"]]>":                             "]]&gt;",
		"\x7f\u0085\u2028":                "\x7f&#133;&#8232;",
	} {
		if got := string(appendText(nil, in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"as it  is ":              "as it  is ",
		"one\r\ntwo":              "one two",
		"one \t \n two\x00three":  "one two three",
		"\nends\n":                "ends",
		"a\u0085b\u2028c\u2029d":  "a b c d",
		strings.Repeat("₹", 1001): strings.Repeat("₹", 1000),
		strings.Repeat("x", 1001): strings.Repeat("x", 1000),
		strings.Repeat("₹", 1000): strings.Repeat("₹", 1000),
	} {
		if got := oneLine(in, 1000); got != want {
			t.Errorf("%.40q became %.40q, want %.40q", in, got, want)
		}
	}
}
