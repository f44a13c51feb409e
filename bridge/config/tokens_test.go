package config

import (
	"encoding/base64"
	"testing"
	"time"

	"einvoice-bridge/bridge"
)

// A secret that is a JSON Web Token says itself when it ends; what only looks like one says nothing, and breaks nothing.
func TestTokenEnds(t *testing.T) {
	jwt := func(claims string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "."
	}
	for value, want := range map[string]int64{
		jwt(`{"exp":1800000000}`):                                   1_800_000_000,
		"Bearer " + jwt(`{"exp":1.8e9}`):                            1_800_000_000,
		jwt(`{"exp":1800000000.5,"n":"é"}`):                         1_800_000_000,
		jwt(`{"exp":"1800000000"}`):                                 0,
		jwt(`{"exp":-1}`):                                           0,
		jwt(`{"exp":1e300}`):                                        0,
		jwt(`{"sub":"erp"}`):                                        0,
		"eyJhbGciOiJub25lIn0.eyJ.":                                  0,
		"eyJhbGciOiJub25lIn0.eyJx":                                  0,
		"an ordinary secret, with a dot. or":                        0,
		jwt(`{"exp":1900000000}`) + " " + jwt(`{"exp":1800000000}`): 1_800_000_000, // the first to end counts
	} {
		f := &File{Traces: Traces{Headers: map[string]bridge.Secret{"Authorization": bridge.Secret(value)}}}
		got, ok := f.TokenEnds()["traces.headers"]
		if ok != (want != 0) || ok && got != time.Unix(want, 0) {
			t.Errorf("%s: %v, want %d", value, got, want)
		}
	}
}
