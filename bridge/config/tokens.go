package config

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// aJWT is a JSON Web Token (RFC 7519) in a value, such as behind "Bearer": three parts, of which the first two are JSON objects
// in base64url, which begin so.
var aJWT = regexp.MustCompile(`\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]*`)

// TokenEnds are the ends of those secrets that say themselves when they end, by the path of their key.
func (f *File) TokenEnds() map[string]time.Time {
	ends := map[string]time.Time{}
	for _, l := range described(f) {
		if !l.secret {
			continue
		}
		for _, token := range aJWT.FindAllString(l.exact, -1) {
			end, ok := tokenEnd(token)
			if known, has := ends[l.Path]; ok && (!has || end.Before(known)) {
				ends[l.Path] = end
			}
		}
	}
	return ends
}

// tokenEnd is a JWT's exp. Nobody's word is believed here: whoever issued the token judges its signature.
func tokenEnd(token string) (time.Time, bool) {
	var claims struct {
		Exp float64 `json:"exp"` // seconds, which may have a fraction
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(data, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1e11 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}
