package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"time"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
)

// warnings are about what the configuration may say and hardly can mean, or what will not work for long.
func warnings(f *config.File, now time.Time) (all config.Problems) {
	warn := func(path, text string) { all = append(all, config.Problem{Line: f.Line(path), Text: text}) }
	asks := slices.ContainsFunc(f.Listen, func(l config.Listener) bool { return l.TLS != nil && l.TLS.ClientCA != "" })
	for _, name := range slices.Sorted(maps.Keys(f.Callers)) {
		if len(f.Callers[name].Certificates) > 0 && !asks {
			warn("callers."+name+".certificates", fmt.Sprintf("caller %s must show a certificate, but no listener asks for any "+
				"(tls: {client_ca: …}): it will never be let in", name))
		}
	}
	for path, text := range clientCertificates(f) {
		for _, w := range server.NearEnd("client_certificate", parsePEM(text), now) {
			warn(path, w)
		}
	}
	return all
}

// clientCertificates are what the bridge shows to upstreams, by the key's path; a taxpayer's only where it is its own.
func clientCertificates(f *config.File) map[string]string {
	shown := map[string]string{}
	for name, u := range f.Upstreams {
		shown["upstreams."+name+".client_certificate"] = u.ClientCertificate
	}
	for name, t := range f.Taxpayers {
		if own := t.Settings.ClientCertificate; own != f.Upstreams[t.Upstream].ClientCertificate {
			shown["taxpayers."+name+".client_certificate"] = own
		}
	}
	return shown
}

// parsePEM leaves out what is no certificate: that is the adapters' to complain of.
func parsePEM(text string) (certs []*x509.Certificate) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certs
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			certs = append(certs, c)
		}
	}
}

// checkListeners reads the listeners' certificates as serve would.
func checkListeners(f *config.File, now time.Time) (warnings, problems config.Problems) {
	for i, l := range listeners(f) {
		line := f.Line(fmt.Sprintf("listen.%d.tls", i))
		texts, err := l.Check(now)
		if err != nil {
			problems = append(problems, config.Problem{Line: line, Text: fmt.Sprintf("listener %s: %v", l.Address, err)})
		}
		for _, text := range texts {
			warnings = append(warnings, config.Problem{Line: line, Text: fmt.Sprintf("listener %s: %s", l.Address, text)})
		}
	}
	return warnings, problems
}
