package bridge

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"50s": 50 * time.Second, "1m30s": 90 * time.Second, "400d": 400 * 24 * time.Hour, "24h": 24 * time.Hour, "0s": 0, "0d": 0,
	} {
		var d, again Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.D() != want {
			t.Errorf("%s: %s, %v", text, d.D(), err)
		}
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s is written %s, which reads as %s, %v", text, d, again.D(), err)
		}
	}
	for _, text := range []string{"", "50", "fifty", "-1s", "-1d", "1.5d", "d", "1w"} {
		if err := new(Duration).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "is no duration; write 50s") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretHides(t *testing.T) {
	s := Secret("hunter2")
	out := fmt.Sprintf("%v %+v %#v %s", s, struct{ S Secret }{s}, map[string]Secret{"k": s}, slog.AnyValue(s).Resolve())
	text, err := json.Marshal([]any{s, &s})
	if strings.Contains(out+string(text), "hunter") || err != nil || s.Reveal() != "hunter2" {
		t.Errorf("%s %s %v", out, text, err)
	}
}
