package cleartax

import (
	"net/http"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// hold is how long a refused token is left alone.
const hold = time.Minute

// gateway is the way to either product with one static token.
type gateway struct {
	profile  bridge.Profile
	visits   upstream.Visits[static, *upstream.Reply]
	header   http.Header // of every call
	warnings []string
}

// static stands for a session's token: there is one for ever.
type static struct{}

type visit = upstream.Visit[static, *upstream.Reply]

// open makes the gateway's connection, guard and header, and the part of its profile that both products have alike. The
// credential is a digest over the access and whom it is for.
func (a Access) open(kind string, shared *upstream.Shared, taxpayer string, zone *time.Location) (gateway, error) {
	client, err := shared.Client(a.Settings)
	if err != nil {
		return gateway{}, err
	}
	credential := upstream.Digest(kind, client.BaseURL(), a.TokenHeader, a.Token.Reveal(), taxpayer, a.Branch)
	mask := upstream.NewMask("signedinvoice", "signedqrcode").With(a.Token.Reveal())
	return gateway{
		profile: bridge.Profile{
			Name: a.Name, Kind: kind, Zone: zone, Credential: credential,
			CallTimeout: a.CallTimeout.D(), LookupTimeout: a.LookupTimeout.D(),
		},
		visits: upstream.Visits[static, *upstream.Reply]{
			Client: client, Guard: shared.Guard(client, credential, hold),
			Mask: mask, MaskOf: func(static) upstream.Mask { return mask },
			Read: func(_ static, r *upstream.Reply) (*upstream.Reply, upstream.Admission) { return r, upstream.LetIn },
		},
		header:   http.Header{a.TokenHeader: {a.Token.Reveal()}, "Accept": {"application/json"}},
		warnings: a.Mislabelled(production),
	}, nil
}

// tokenAlarm is for a token that ClearTax refuses. It is static: nothing but a person can get another one.
func tokenAlarm(how string) string {
	return "ClearTax refuses the token (" + how + "): it was revoked, has expired or belongs to another environment; " +
		"generate one in the console, once for all who use it"
}
