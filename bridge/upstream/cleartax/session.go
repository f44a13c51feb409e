package cleartax

import (
	"net/http"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

const (
	// hold is how long a refused token is left alone.
	hold = time.Minute
	// margin widens every window of a rate: ClearTax's minute does not begin when ours does.
	margin = 2 * time.Second
	// defaultTokenHeader; one old page of the vendor says x-clear-auth-token.
	defaultTokenHeader = "x-cleartax-auth-token"
)

// gateway is the way to either product with one static token.
type gateway struct {
	profile  bridge.Profile
	client   *upstream.Client
	guard    *upstream.Guard
	header   http.Header // of every call
	mask     upstream.Mask
	warnings []string
}

// open makes the gateway's connection, guard and header. The credential is a digest over the access and whom it is for.
func (a access) open(kind string, shared *upstream.Shared, taxpayer ...string) (gateway, error) {
	client, err := shared.Client(a.settings)
	if err != nil {
		return gateway{}, err
	}
	credential := upstream.Digest(append([]string{kind, client.BaseURL(), a.tokenHeader, a.token}, taxpayer...)...)
	return gateway{
		profile:  bridge.Profile{Name: a.name, Kind: kind, Credential: credential},
		client:   client,
		guard:    shared.Guard(client, credential, hold),
		header:   http.Header{a.tokenHeader: {a.token}, "Accept": {"application/json"}},
		mask:     upstream.NewMask("signedinvoice", "signedqrcode").With(a.token),
		warnings: a.warn(),
	}, nil
}

// tokenAlarm is for a token that ClearTax refuses. It is static: nothing but a person can get another one.
func tokenAlarm(how string) string {
	return "ClearTax refuses the token (" + how + "): it was revoked, has expired or belongs to another environment; " +
		"generate one in the console, once for all who use it"
}
