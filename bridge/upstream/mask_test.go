package upstream

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMaskBody(t *testing.T) {
	m := NewMask("Password", "AuthToken", "Sek", "access_token").With("pass\"word", "short")
	tests := []struct{ name, body, want string }{
		{"empty", "  ", ""},
		{"nothing secret", `{"Irn":"a5c1","CnlRsn":"1"}`, `{"Irn":"a5c1","CnlRsn":"1"}`},
		{"text", `{"UserName":"U","Password":"P"}`, `{"UserName":"U","Password":"***"}`},
		{"letter case", `{"password":"P","AUTHTOKEN":"T"}`, `{"password":"***","AUTHTOKEN":"***"}`},
		{"deep", `{"Data":{"x":[{"AuthToken":"T"},{"Sek":"S"}]},"z":1}`, `{"Data":{"x":[{"AuthToken":"***"},{"Sek":"***"}]},"z":1}`},
		{"numbers, null, objects, arrays", `{"Sek":12.5e3,"AuthToken":null,"Password":{"a":"}"},"sek":["]",["x"]],"y":true}`,
			`{"Sek":"***","AuthToken":"***","Password":"***","sek":"***","y":true}`},
		{"blanks", "{ \"Sek\" :\t\"S\" ,\n\"a\" : 1 }", "{ \"Sek\" :\t\"***\" ,\n\"a\" : 1 }"},
		{"value that looks like a key", `{"a":"Sek","b":"AuthToken:"}`, `{"a":"Sek","b":"AuthToken:"}`},
		{"quotes in the value", `{"Sek":"a\"b\\","c":"d"}`, `{"Sek":"***","c":"d"}`},
		{"key written with escapes", `{"S\u0065k":"S"}`, `{"S\u0065k":"***"}`},
		{"known value inside a sentence", `{"m":"wrong pass\"word given"}`, `{"m":"wrong *** given"}`},
		{"short values stay", `{"m":"a short one"}`, `{"m":"a short one"}`},
		{"form", "client_id=7&access_token=abc&x=", "client_id=7&access_token=***&x="},
		{"form with an escaped name", "access%5Ftoken=abc", "access%5Ftoken=***"},
		{"form with the known value", "q=pass%22word", "q=***"},
		{"broken JSON is left out", `{"Sek":"S"`, "[10 bytes, neither JSON nor a form: not kept]"},
		{"a page is left out", "<html><a href='?x=1'>Sek</a></html>", "[35 bytes, neither JSON nor a form: not kept]"},
		{"plain text is left out", "too many requests", "[17 bytes, neither JSON nor a form: not kept]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := m.Body([]byte(tt.body)); got != tt.want {
				t.Errorf("Body(%s)\n got %s\nwant %s", tt.body, got, tt.want)
			}
		})
	}
}

func TestMaskKeepsAtMostEightKiB(t *testing.T) {
	body := `{"Sek":"geheim","x":"` + strings.Repeat("é", 8000) + `"}`
	got := NewMask("Sek").Body([]byte(body))
	if len(got) > maxKept+40 || !strings.Contains(got, "bytes cut off]") || strings.Contains(got, "geheim") {
		t.Errorf("kept %d bytes: %s…%s", len(got), got[:40], got[len(got)-40:])
	}
}

func TestMaskWithLeavesTheOriginalAlone(t *testing.T) {
	m := NewMask().With("password-1")
	m.With("password-2")
	if got := m.Text("password-1 password-2"); got != "*** password-2" {
		t.Error(got)
	}
}

func FuzzMaskBody(f *testing.F) {
	f.Add(`{"Sek":"x","a":[1,{"sek":{}}]}`)
	f.Add(`[{"S\u0065k" : "x\\"}]`)
	f.Add(`sek=1&a=2`)
	for _, s := range []string{
		`-0.5e+10`, `01`, `-`, `1.`, `.5`, `1e`, `1e5.0`, `{,}`, `[1,]`, `[,1]`, `{"a":1,}`, `{"a" 1}`, `tru`, `nulll`, `{"a":[true,false,null]}`, `"\ud800\x"`,
		"1\x00", "\"\\u00\x140\"", "\"\x00\"", "\"\x7f\xff\"", strings.Repeat("[", maxNested) + strings.Repeat("]", maxNested),
		strings.Repeat("[", maxNested+1) + strings.Repeat("]", maxNested+1), strings.Repeat(`{"":`, maxNested) + "1" + strings.Repeat("}", maxNested),
	} {
		f.Add(s)
	}
	m := NewMask("sek")
	f.Fuzz(func(t *testing.T, body string) {
		if _, ok := m.json([]byte(body)); ok && !json.Valid([]byte(body)) || !ok && json.Valid([]byte(body)) && body == strings.Trim(body, " \t\r\n") {
			t.Fatalf("%q is valid JSON: %v", body, !ok)
		}
		got := m.Body([]byte(body))
		if !json.Valid([]byte(body)) || len(got) > maxKept {
			return
		}
		if strings.TrimSpace(body) == "" {
			return
		}
		var tree any
		if err := json.Unmarshal([]byte(got), &tree); err != nil {
			t.Fatalf("masked %q is no JSON any more: %q", body, got)
		}
		hidden(t, tree)
	})
}

// hidden fails when a secret field of the tree still has a value.
func hidden(t *testing.T, tree any) {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			if strings.EqualFold(key, "sek") && value != masked {
				t.Fatalf("%q shows %v", key, value)
			}
			hidden(t, value)
		}
	case []any:
		for _, value := range v {
			hidden(t, value)
		}
	}
}

func BenchmarkMaskBody(b *testing.B) {
	m := NewMask("AuthToken", "Sek", "Password", "AppKey", "client_secret", "SignedInvoice").With("a-client-secret", "Pa$$word1")
	body := []byte(`{"Irn":"a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229","CnlRsn":"1","CnlRem":"Wrong entry"}`)
	b.ReportAllocs()
	for b.Loop() {
		m.Body(body)
	}
	b.ReportMetric(2, "budget-µs/op")
	b.ReportMetric(3, "budget-allocs/op")
}
