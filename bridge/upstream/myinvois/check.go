package myinvois

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// check keeps calls away from MyInvois that it blocks clients for: without, or with a made-up, client id
// (MyInvois SDK, Login as Taxpayer System).
func (c Config) check() error {
	var errs []error
	for _, f := range [...]struct{ key, value string }{{"client_id", c.ClientID}, {"client_secret", c.ClientSecret}} {
		switch {
		case f.value == "":
			errs = append(errs, errors.New(f.key+" is missing"))
		case strings.ContainsFunc(f.value, func(r rune) bool { return r <= ' ' || r > '~' }):
			errs = append(errs, errors.New(f.key+" has blanks or characters that no MyInvois credential has"))
		}
	}
	if c.OnBehalfOf != "" && !isTIN(c.OnBehalfOf) {
		errs = append(errs, errors.New("on_behalf_of is neither a TIN nor TIN:ROB"))
	}
	for irn, uuid := range c.IRNMap {
		if !isUUID(uuid) {
			errs = append(errs, fmt.Errorf("irn_map: %q leads to something that is no UUID (26 letters and digits)", irn))
		}
	}
	return errors.Join(errs...)
}

// Hosts of MyInvois, for warnings only.
const (
	productionHost = "api.myinvois.hasil.gov.my"
	sandboxHost    = "preprod-api.myinvois.hasil.gov.my"
	portalSuffix   = "myinvois.hasil.gov.my"
)

// warnings are what looks wrong but may be meant. tin is on_behalf_of as it is sent.
func (c Config) warnings(tin string) []string {
	var all []string
	warn := func(format string, args ...any) { all = append(all, c.Name+": "+fmt.Sprintf(format, args...)) }
	if tin != c.OnBehalfOf {
		warn("on_behalf_of %s is sent as MyInvois writes it, %s", c.OnBehalfOf, tin)
	}
	api, identity := host(c.Settings.BaseURL), host(c.IdentityURL)
	if api != productionHost && api != sandboxHost && strings.HasSuffix(api, portalSuffix) {
		warn("%s is the portal for people, not the API; its hosts are %s and %s", api, productionHost, sandboxHost)
	}
	if api == productionHost && identity == sandboxHost || api == sandboxHost && identity == productionHost {
		warn("base_url and identity_url belong to different environments; tokens of one are refused by the other")
	}
	return all
}

func host(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
