package mastersindia

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/upstream"
)

// dialect is what sets the two generations apart.
type dialect struct {
	loginPath string
	login     func(Config) any // its body
	// token reads a login's reply: the token, and how long it lives by the provider's clock.
	token  func(b body, now time.Time) (value string, life time.Duration)
	cancel func(token string, c bridge.Cancellation) upstream.Request
	lookup func(token string, c bridge.Cancellation) upstream.Request
}

var dialects = map[string]dialect{
	Legacy: {
		loginPath: "/oauth/access_token",
		login: func(c Config) any {
			return legacyLogin{c.Username, c.Password, c.ClientID, c.ClientSecret, "password"}
		},
		token: legacyToken,
		cancel: func(token string, c bridge.Cancellation) upstream.Request {
			return post(upstream.ForCancel, "/cancelEinvoice", legacyCancel{token, orderOf(c)})
		},
		lookup: func(token string, c bridge.Cancellation) upstream.Request {
			return get("/getEinvoiceData", url.Values{"access_token": {token}, "gstin": {c.Taxpayer}, "irn": {c.Document}})
		},
	},
	V1: {
		loginPath: "/api/v1/token-auth/",
		login:     func(c Config) any { return v1Login{c.Username, c.Password} },
		token:     v1Token,
		cancel: func(token string, c bridge.Cancellation) upstream.Request {
			// ewaybill_cancel: any other value would cancel the e-way bill, too, which nobody asked for.
			return jwt(token, post(upstream.ForCancel, "/api/v1/cancel-einvoice/", v1Cancel{orderOf(c), ""}))
		},
		lookup: func(token string, c bridge.Cancellation) upstream.Request {
			return jwt(token, get("/api/v1/get-einvoice/", url.Values{"gstin": {c.Taxpayer}, "irn": {c.Document}}))
		},
	},
}

func post(purpose upstream.Purpose, path string, v any) upstream.Request {
	body, _ := json.Marshal(v) // plain texts can't fail
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	return upstream.Request{Purpose: purpose, Method: http.MethodPost, Path: path, Header: header, Body: body}
}

func get(path string, query url.Values) upstream.Request {
	header := http.Header{"Accept": {"application/json"}}
	return upstream.Request{Purpose: upstream.ForLookup, Method: http.MethodGet, Path: path + "?" + query.Encode(), Header: header}
}

// jwt puts the session's token on a call. A call without one carries the account's key.
func jwt(token string, q upstream.Request) upstream.Request {
	if token == "" {
		return q
	}
	q.Header["Authorization"] = []string{"JWT " + token}
	return q
}

func orderOf(c bridge.Cancellation) order {
	return order{c.Taxpayer, c.Document, string(c.Reason), upstream.Cut(upstream.IRPRemarks(c), maxRemarks)}
}

// legacyToken: the documentation shows lives of 3600 and of 14400 s, so the value received counts.
func legacyToken(b body, _ time.Time) (string, time.Duration) {
	seconds, err := strconv.ParseFloat(string(b.ExpiresIn), 64)
	if err != nil || seconds <= 0 || seconds > 1e7 {
		return string(b.AccessToken), 50 * time.Minute
	}
	return string(b.AccessToken), time.Duration(seconds) * time.Second
}

// v1Token: a JWT lives 24 h; 23 are used, or less when it says so itself.
func v1Token(b body, now time.Time) (string, time.Duration) {
	life := 23 * time.Hour
	if left := expiry(string(b.Token)).Sub(now); left > 0 && left < life {
		life = left
	}
	return string(b.Token), life
}

// expiry reads the exp claim of a JWT (RFC 7519 §4.1.4); zero when there is none.
func expiry(jwt string) time.Time {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Exp), 0)
}
