package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/upstream"
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
	all = append(all, environments(f)...)
	for path, text := range clientCertificates(f) {
		for _, w := range server.NearEnd("client_certificate", parsePEM(text), now) {
			warn(path, w)
		}
	}
	return all
}

// environments finds upstreams that don't say in which environment they are, or say something odd. Each environment's
// documents have records of their own, so it had better be right.
func environments(f *config.File) (all config.Problems) {
	look := func(path, who string, u config.Upstream) {
		label, host := strings.ToLower(strings.TrimSpace(u.Environment)), upstream.Environment("", u.BaseURL)
		text := ""
		switch {
		case label == "":
			text = fmt.Sprintf("%s has no environment; by its host's name it is taken for %s. Say so, or what it is "+
				"(environment: %s): each environment's documents have records of their own", who, host, host)
		case label == upstream.Production && host != label:
			text = fmt.Sprintf("%s is labelled production, and its host's name says %s: what is tried there would stand in production's records", who, host)
		case slices.Contains([]string{"prod", "prd", "live"}, label):
			text = fmt.Sprintf("%s is labelled %s, which is not production: its documents have records apart from production's", who, label)
		default:
			return
		}
		all = append(all, config.Problem{Line: f.Line(path), Text: text})
	}
	for _, name := range slices.Sorted(maps.Keys(f.Upstreams)) {
		if u := f.Upstreams[name]; u.BaseURL != "" {
			look("upstreams."+name+".environment", "upstream "+name, u)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Taxpayers)) {
		u, of := f.Taxpayers[name].Settings, f.Upstreams[f.Taxpayers[name].Upstream]
		if u.BaseURL != of.BaseURL || u.Environment != of.Environment {
			look("taxpayers."+name+".environment", "taxpayer "+name, u)
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
