package upstream

import (
	"encoding/json"
	"testing"
)

func TestScalar(t *testing.T) {
	for in, want := range map[string]Scalar{
		`1`: "1", `1.0`: "1", `"1"`: "1", `" 1 "`: "1", `1.5`: "1.5", `112010036563310`: "112010036563310",
		`true`: "true", `"true"`: "true", `null`: "", `""`: "", `"äö\n"`: "äö", "\"a\xff\"": "a\ufffd",
	} {
		var got struct{ V Scalar }
		if err := json.Unmarshal([]byte(`{"v":`+in+`}`), &got); err != nil || got.V != want {
			t.Errorf("%s is %q, %v; want %q", in, got.V, err, want)
		}
	}
	for _, in := range []string{`{}`, `[1]`} {
		var got Scalar
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s was read as %q", in, got)
		}
	}
}
