package app

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/url"
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
	if f.Seal == "" && slices.ContainsFunc(slices.Collect(maps.Values(f.Upstreams)), logsIn) {
		warn("journal", "without a seal upstream sessions are in memory only: every start and every instance logs in anew, "+
			"and authorities allow few logins (seal: \"${EINVOICE_BRIDGE_SEAL}\"; head -c 32 /dev/urandom | base64 makes one)")
	}
	if f.Forward.Rehearse {
		warn("forward.rehearse", "a rehearsal: everything goes to the provider and nothing to any authority")
	}
	all = append(all, endingSoon(f, now)...)
	for _, name := range slices.Sorted(maps.Keys(f.Taxpayers)) {
		if meant := config.MeantGSTIN(name); meant != name {
			warn("taxpayers."+name, fmt.Sprintf("taxpayer %s has a wrong check character: it is %s, unless another character is wrong", name, meant))
		}
	}
	all = append(all, f.Quoted()...)
	all = append(all, environments(f)...)
	all = append(all, inClear(f)...)
	for path, text := range clientCertificates(f) {
		for _, w := range server.NearEnd("client_certificate", parsePEM(text), now) {
			warn(path, w)
		}
	}
	return all
}

// destination is an upstream as it is reached: as written, or as a taxpayer's own settings make it. addresses are where its calls
// go, by key.
type destination struct {
	path, who string
	*upstream.Settings
	addresses map[string]string
}

// destinations are all that a file has, each once; a taxpayer's only where an address or the environment is its own.
func destinations(f *config.File) (all []destination) {
	written := map[string]destination{}
	for _, name := range slices.Sorted(maps.Keys(f.Upstreams)) {
		u := f.Upstreams[name]
		w := destination{"upstreams." + name, "upstream " + name, upstream.Common(u.Settings), Kinds[u.Kind].Addresses(u.Settings)}
		if written[name] = w; w.BaseURL != "" {
			all = append(all, w)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Taxpayers)) {
		t := f.Taxpayers[name]
		of, w := written[t.Upstream], destination{"taxpayers." + name, "taxpayer " + name, upstream.Common(t.Settings), Kinds[f.Upstreams[t.Upstream].Kind].Addresses(t.Settings)}
		if w.Environment != of.Environment || !maps.Equal(w.addresses, of.addresses) {
			all = append(all, w)
		}
	}
	return all
}

// misplaced finds upstreams whose environment is the opposite of what is known of a host: a real invoice would be
// cancelled as a trial, or a trial's answer told of a real one.
func misplaced(f *config.File) (all config.Problems) {
	for _, w := range destinations(f) {
		for _, key := range slices.Sorted(maps.Keys(w.addresses)) {
			if address := w.addresses[key]; upstream.Contradicts(w.Environment, address) {
				all = append(all, config.Problem{Line: f.Line(w.path + ".environment"), Text: fmt.Sprintf(
					"%s has environment %s, but the host of its %s is known as %s: correct the one or the other",
					w.who, w.Environment, key, upstream.KnownEnvironment(address))})
			}
		}
	}
	return all
}

// inClear finds addresses that are neither https nor on this machine.
func inClear(f *config.File) (all config.Problems) {
	for _, w := range destinations(f) {
		for _, key := range slices.Sorted(maps.Keys(w.addresses)) {
			u, err := url.Parse(w.addresses[key])
			if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback() {
				continue
			}
			all = append(all, config.Problem{Line: f.Line(w.path + "." + key), Text: fmt.Sprintf(
				"%s: %s is not https: secrets, tokens and invoices travel in clear", w.who, key)})
		}
	}
	return all
}

// logsIn tells whether an upstream has sessions; ClearTax's have one token for good.
func logsIn(u config.Upstream) bool { return !strings.HasPrefix(u.Kind, "cleartax-") }

// environments finds upstreams that don't say in which environment they are, or say something odd. Each environment's
// documents have records of their own, so it had better be right.
func environments(f *config.File) (all config.Problems) {
	for _, w := range destinations(f) {
		label, host := strings.ToLower(strings.TrimSpace(w.Environment)), upstream.Environment("", w.BaseURL)
		text := ""
		switch {
		case label == "":
			text = fmt.Sprintf("%s has no environment; by its host's name it is taken for %s. Say so, or what it is "+
				"(environment: %s): each environment's documents have records of their own", w.who, host, host)
		case label == upstream.Production && host != label:
			text = fmt.Sprintf("%s is labelled production, and its host's name says %s: what is tried there would stand in production's records", w.who, host)
		case slices.Contains([]string{"prod", "prd", "live"}, label):
			text = fmt.Sprintf("%s is labelled %s, which is not production: its documents have records apart from production's", w.who, label)
		default:
			continue
		}
		all = append(all, config.Problem{Line: f.Line(w.path + ".environment"), Text: text})
	}
	return all
}

// clientCertificates are what the bridge shows to upstreams, by the key's path; a taxpayer's only where it is its own.
func clientCertificates(f *config.File) map[string]string {
	shown := map[string]string{}
	for name, u := range f.Upstreams {
		shown["upstreams."+name+".client_certificate"] = upstream.Common(u.Settings).ClientCertificate
	}
	for name, t := range f.Taxpayers {
		if own := upstream.Common(t.Settings).ClientCertificate; own != shown["upstreams."+t.Upstream+".client_certificate"] {
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
