package app

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/access"
)

// What ends some day is known beforehand: a secret as the configuration or itself says, a token as it was issued; not what is revoked or
// issued by a log-in.
func TestExpiries(t *testing.T) {
	soon := time.Now().Add(5*24*time.Hour + time.Hour).UTC()
	_, path := sandboxed(t, func(text string) string {
		claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"erp","exp":%d}`, time.Now().Add(3*time.Hour).Unix()))
		text = strings.Replace(text, "  nic:\n", "  nic:\n    headers: {Authorization: \"Bearer eyJhbGciOiJub25lIn0."+claims+".c2ln\"}\n", 1)
		return strings.Replace(text, "  myinvois:\n", "  myinvois:\n    secret_expires: \""+soon.Format(time.DateOnly)+"\"\n", 1)
	})
	a := wired(t, path, slog.New(slog.DiscardHandler))
	defer a.release()
	for _, token := range []bridge.Token{
		{Hash: "h1", Caller: "erp", Label: "SAP", Issued: time.Now(), Expires: time.Now().Add(time.Hour)}, {Hash: "h2", Caller: "erp", Issued: time.Now(), Expires: time.Now().Add(time.Hour)},
		{Hash: "h5", Caller: "erp", Issued: time.Now(), Expires: time.Now().Add(4*24*time.Hour + time.Hour)}, {Hash: "h6", Caller: "erp", Label: access.Adopted, Issued: time.Now(), Expires: time.Now().Add(time.Hour)},
		{Hash: "h3", Caller: "erp", Label: "for good", Issued: time.Now()}, {Hash: "h4", Caller: "erp", Label: "revoked", Issued: time.Now(), Expires: time.Now().Add(time.Hour)},
	} {
		if err := a.journal.Issue(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.journal.Revoke(t.Context(), "h4", "asha"); err != nil {
		t.Fatal(err)
	}
	all, err := a.expiries(t.Context())
	if err != nil || len(all) != 4 || all[0].What != "token of erp, SAP" || all[1].What != "token in upstreams.nic.headers" || all[2].What != "token of erp, h5" || all[3].What != "secret of upstreams.myinvois" || all[3].At.Format(time.DateOnly) != soon.Format(time.DateOnly) {
		t.Errorf("%+v, %v", all, err)
	}
	f := a.plan.Load().file
	for after, want := range map[time.Duration]string{
		0: "the secret of upstreams.myinvois ends on", time.Hour: "the token in upstreams.nic.headers ends on", 10 * 24 * time.Hour: "the secret of upstreams.myinvois ended on",
		4 * time.Hour: "the token in upstreams.nic.headers ended on", -60 * 24 * time.Hour: "",
	} {
		if got := fmt.Sprint(endingSoon(f, time.Now().Add(after))); !strings.Contains(got, want) || want == "" && len(endingSoon(f, time.Now().Add(after))) > 0 {
			t.Errorf("%s from now: %s, want %s", after, got, want)
		}
	}
}
