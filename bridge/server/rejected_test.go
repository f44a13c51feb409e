package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/server"
)

// rejects is a server that keeps what it turns away, and knows one taxpayer.
func rejects(t *testing.T) (*rig, func() []bridge.Rejected) {
	var mu sync.Mutex
	var all []bridge.Rejected
	r := start(t, func(s *setup) {
		s.Rejected = func(x bridge.Rejected) { mu.Lock(); all = append(all, x); mu.Unlock() }
		s.Upstream = func(taxpayer string) (string, bool) { return "nic", taxpayer == gstin }
	})
	return r, func() []bridge.Rejected {
		mu.Lock()
		defer mu.Unlock()
		x := all
		all = nil
		return x
	}
}

// Whoever connects an ERP finds each call that was turned away under the reference that the answer has: whose it was, why, and
// what came. A text that programs log in again by stands alone.
func TestRejectedCallsAreOnRecord(t *testing.T) {
	r, taken := rejects(t)
	with := func(old, new string) string { return strings.Replace(envelope, old, new, 1) }
	for name, tc := range map[string]struct {
		body   string
		kind   server.Refusal
		caller string
		says   string // of why and what came
	}{
		"a wrong token":       {with(token, "guess"), server.RefusedToken, "", "why: The access token provided is invalid"},
		"no token":            {with(token, ""), server.RefusedToken, "", "why: access_token is missing"},
		"a foreign taxpayer":  {with(gstin, "29AAFCD5862R000"), server.RefusedTaxpayer, "sap", "taxpayer: 29AAFCD5862R000"},
		"an unknown taxpayer": {strings.NewReplacer(gstin, "29AAFCD5862R000", token, "all").Replace(envelope), server.RefusedUnknown, "everyone", "taxpayer: 29AAFCD5862R000"},
		"no taxpayer":         {with(gstin, ""), server.RefusedTaxpayer, "sap", "why: user_gstin is missing"},
		"an unknown operation": {strings.ReplaceAll(envelope, "eInvoiceCancel", "eInvoiceForget"), server.RefusedSOAP, "",
			"found: 'eInvoiceForget' in namespace 'urn:server'"},
		"no XML":    {"irn=1&token=" + token, server.RefusedSOAP, "", "Content-Type: text/xml"},
		"cut short": {envelope[:len(envelope)-40], server.RefusedSOAP, "", "elements: access_token, user_gstin, irn"},
		"another name, elsewhere": {strings.NewReplacer("<access_token>"+token+"</access_token>", "", "<cancel_reason>", "<tokn>"+token+"</tokn><cancel_reason>").Replace(envelope),
			server.RefusedSOAP, "", "missing: access_token"},
	} {
		got := r.post(tc.body)
		rows := taken()
		if len(rows) != 1 {
			t.Errorf("%s: %d rows", name, len(rows))
			continue
		}
		row := rows[0]
		text := "why: " + row.Why
		for _, f := range row.Came {
			text += "\n" + f.Name + ": " + f.Text
		}
		if row.Kind != string(tc.kind) || row.Caller != tc.caller || row.From != "127.0.0.1" || row.At.IsZero() || !strings.Contains(text, tc.says) ||
			!strings.Contains(text, "posted to: /api.einvoice.php") {
			t.Errorf("%s: %+v, want %s of %q, %s", name, row, tc.kind, tc.caller, tc.says)
		}
		if row.Ref != got.header.Get("X-Request-Id") || !strings.Contains(got.body, "[ref "+row.Ref+"]") {
			t.Errorf("%s: on record as %s, answered %s", name, row.Ref, got.body)
		}
		if strings.Contains(fmt.Sprint(row), token) || strings.Contains(fmt.Sprint(row), "guess") {
			t.Errorf("%s: a token is on record: %+v", name, row)
		}
	}
	r.post(envelope)
	if rows := taken(); len(rows) != 0 {
		t.Errorf("a good call is on record as rejected: %+v", rows)
	}
}

// A taxpayer that nobody has configured is the caller's mistake: a 204 that names it.
func TestUnknownTaxpayerIsA204(t *testing.T) {
	r, _ := rejects(t)
	r.post(strings.NewReplacer(gstin, "29aafcd5862r000 ", token, "all").Replace(envelope)).
		expect(t, "unknown", 200, "Failed 204 user_gstin 29AAFCD5862R000 is not known here; nothing was sent for this call")
	if n := len(r.seen()); n != 0 {
		t.Errorf("%d calls reached the Service", n)
	}
}

// Of what came names are kept, and nothing that may be a secret: not the rest of a password after an unescaped <, not a token in
// the place of a name.
func TestNoSecretIsOnRecord(t *testing.T) {
	r, taken := rejects(t)
	const secret = "b29cee2156282be62f51b24fe8b3f07f01c9bff1"
	for name, body := range map[string]string{
		"an unescaped <":            strings.Replace(envelope, token, "pass<word1", 1),
		"and a tag after it":        strings.Replace(envelope, token, "pass<word1 x='", 1),
		"a token as a name":         strings.ReplaceAll(envelope, "cancel_remarks", "t"+secret),
		"a token as the operation":  strings.ReplaceAll(envelope, "eInvoiceCancel", "e"+secret),
		"a token as a namespace":    strings.ReplaceAll(envelope, "urn:server", "urn:"+secret),
		"a token as the taxpayer":   strings.NewReplacer(gstin, secret, token, "all").Replace(envelope),
		"a token as the taxpayer 2": strings.Replace(envelope, gstin, secret, 1),
	} {
		r.post(body, "User-Agent: erp/"+secret+"\r\n")
		for _, row := range taken() {
			if s := strings.ToLower(fmt.Sprint(row)); strings.Contains(s, secret) || strings.Contains(s, "word1") {
				t.Errorf("%s: %+v", name, row)
			}
		}
	}
}

// Somebody who only looks is no ERP.
func TestLookingIsNotRejected(t *testing.T) {
	r, taken := rejects(t)
	r.get("/wp-login.php")
	if rows := taken(); len(rows) != 0 {
		t.Error(cmp.Diff([]bridge.Rejected(nil), rows))
	}
	r.raw(request("/wrong.php", envelope))
	if rows := taken(); len(rows) != 1 || rows[0].Kind != string(server.RefusedHTTP) {
		t.Errorf("a wrong path: %+v", rows)
	}
}

// A taxpayer that was taken out of the file may have cancellations in doubt: a repeat of one is no mistake, and goes on to
// whoever knows the record.
func TestTaxpayerOnRecordIsNotUnknown(t *testing.T) {
	var asked string
	r := start(t, func(s *setup) {
		s.Config.Callers[0].AllTaxpayers = true
		s.Upstream = func(string) (string, bool) { return "", false }
		s.Recorded = func(_ context.Context, taxpayer string) bool { asked = taxpayer; return true }
	})
	r.answer = func(bridge.Request) bridge.Answer { return bridge.Answer{Fault: bridge.FaultMisconfigured} }
	r.post(envelope).expect(t, "on record", 500, "SOAP-ENV:Server: "+bridge.FaultMisconfigured)
	if n := len(r.seen()); n != 1 || asked != gstin {
		t.Errorf("%d calls reached the Service; asked for %q", n, asked)
	}
}
