package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/fixtures/sandbox"
	"einvoice-bridge/fixtures/sandbox/cleartax"
	"einvoice-bridge/fixtures/sandbox/invx"
	"einvoice-bridge/fixtures/sandbox/mastersindia"
	"einvoice-bridge/fixtures/sandbox/myinvois"
	"einvoice-bridge/fixtures/sandbox/nic"
)

// simulator is one authority or provider of the demo: what is served, what the configuration needs to reach it, and
// two documents worth cancelling.
type simulator struct {
	name     string // of the upstream in the demo's configuration
	title    string
	handler  http.Handler
	log      *sandbox.Sandbox
	taxpayer string
	success  string // document id that can be cancelled
	refusal  string // document id that is refused …
	says     string // … with these words
	upstream string // YAML of the upstream, below its name; %s is the base URL
	settings string // YAML of the taxpayer beside its upstream
}

// demoToken is the access token of the provider's own sample request.
const demoToken = "b29cee2156282be62f51b24fe8b3f07f01c9bff1"

// simulators makes the demo's simulators anew, with their key files in dir. Documents and taxpayers are those of the
// vendors' own pages where these have any. With auto, every well-formed document id is an active document of the
// taxpayer that asks, and no rate is limited: for load.
func simulators(dir string, auto bool) ([]simulator, error) {
	var load sandbox.Options
	var limits myinvois.Limits
	if auto {
		load = sandbox.Options{KeepCalls: 1000, NoBodies: true}
		limits = myinvois.Limits{Login: -1, Cancel: -1, Details: -1, Raw: -1}
	}
	n := nic.Demo(nic.Options{Options: load, AutoSeed: auto})
	if err := os.WriteFile(filepath.Join(dir, "nic.pem"), []byte(n.PublicKeyPEM()), 0o644); err != nil {
		return nil, fmt.Errorf("writing the simulator's public key: %w", err)
	}
	lhdn := myinvois.Demo(myinvois.Options{Options: load, AutoSeed: auto, Limits: limits})
	clearMY := cleartax.DemoMalaysia(cleartax.Options{Options: load, AutoSeed: auto})
	clearIN := cleartax.DemoIndia(cleartax.Options{Options: load, AutoSeed: auto})
	vayana := invx.Demo(invx.Options{Options: load, AutoSeed: auto})
	masters := mastersindia.Demo(mastersindia.Options{Options: load, AutoSeed: auto})
	return []simulator{{
		name: "nic", title: "NIC, India's e-invoice portal (encrypted)", handler: n, log: n.Sandbox,
		taxpayer: nic.DemoGSTIN, success: nic.DemoIRN, refusal: nic.DemoForeignIRN,
		says: "2143: Invoice does not belongs to the user GSTIN",
		upstream: keys("kind", "nic", "environment", "sandbox", "base_url", "%s", "client_id", nic.DemoClientID,
			"client_secret", nic.DemoClientSecret, "public_key", "file:nic.pem"),
		settings: keys("username", nic.DemoUser, "password", nic.DemoPassword),
	}, {
		name: "myinvois", title: "MyInvois, Malaysia", handler: lhdn, log: lhdn.Sandbox,
		taxpayer: myinvois.DemoTIN, success: myinvois.DemoUUID, refusal: myinvois.DemoForeignUUID,
		says: "Forbidden: It seems that you are not authorized to update document status",
		upstream: keys("kind", "myinvois", "environment", "sandbox", "base_url", "%s",
			"client_id", myinvois.DemoIntermediaryID, "client_secret", myinvois.DemoIntermediarySecret),
		settings: keys("on_behalf_of", myinvois.DemoTIN),
	}, {
		name: "cleartax-my", title: "ClearTax, Malaysia", handler: clearMY, log: clearMY.Sandbox,
		taxpayer: cleartax.DemoTIN, success: cleartax.DemoDocumentID, refusal: cleartax.DemoCancelledID,
		says:     "2272: EInvoice is already Cancelled",
		upstream: keys("kind", "cleartax-my", "environment", "sandbox", "base_url", "%s", "token", cleartax.DemoToken),
		settings: keys("branch", cleartax.DemoBranch),
	}, {
		name: "cleartax-in", title: "ClearTax, India", handler: clearIN, log: clearIN.Sandbox,
		taxpayer: cleartax.DemoGSTIN, success: cleartax.DemoIRN, refusal: cleartax.DemoEwayBillIRN,
		says:     "2230: This IRN cannot be cancelled because e-way bill has been generated , you can cancel e-way bill and then try cancelling IRN",
		upstream: keys("kind", "cleartax-in", "environment", "sandbox", "base_url", "%s", "token", cleartax.DemoToken),
	}, {
		name: "invx", title: "Vayana InvX, India", handler: vayana, log: vayana.Sandbox,
		taxpayer: invx.DemoGSTIN, success: invx.DemoIRN, refusal: invx.DemoOldIRN,
		says: "2270: The allowed cancellation time limit is crossed, you cannot cancel the IRN",
		upstream: keys("kind", "invx", "environment", "sandbox", "base_url", "%s", "auth_url", "%s/theodore/apis/v1",
			"org_id", invx.DemoOrgID, "username", invx.DemoHandle, "password", invx.DemoPassword),
	}, {
		name: "mastersindia", title: "Masters India's REST API", handler: masters, log: masters.Sandbox,
		taxpayer: mastersindia.DemoSecondGSTIN, success: mastersindia.DemoSecondIRN, refusal: mastersindia.DemoForeignIRN,
		says: "2143: Invoice does not belongs to the user GSTIN",
		upstream: keys("kind", "mastersindia", "environment", "sandbox", "base_url", "%s", "username", mastersindia.DemoUsername,
			"password", mastersindia.DemoPassword, "client_id", mastersindia.DemoClientID, "client_secret", mastersindia.DemoClientSecret),
	}}, nil
}

// keys is YAML of keys and values in turn, as deep as an upstream's settings stand.
func keys(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "    %s: %q\n", pairs[i], pairs[i+1])
	}
	return b.String()
}

// listenAll serves the simulators on free ports of the loopback address and tells each one's base URL by name.
func listenAll(sims []simulator, wrap func(simulator) http.Handler) (map[string]string, func(), error) {
	urls := map[string]string{}
	var open []*sandbox.Listener
	closeAll := func() {
		for _, l := range open {
			_ = l.Close() // its callers are ours and gone
		}
	}
	for _, s := range sims {
		l, err := sandbox.Listen("127.0.0.1:0", wrap(s))
		if err != nil {
			closeAll()
			return nil, nil, fmt.Errorf("simulator %s: %w", s.name, err)
		}
		open = append(open, l)
		urls[s.name] = l.URL
	}
	return urls, closeAll, nil
}

// quiet are the demo's own settings: a console on a free port, and no log lines between what it prints.
const quiet = "console: {listen: \"127.0.0.1:0\"}\nlog: {level: warn}\n"

// demoConfig is a configuration that reaches the simulators, complete: it can be served and changed by hand. more are
// further lines of it.
func demoConfig(sims []simulator, urls map[string]string, listen, dir, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by einvoice-bridge: every upstream is a simulator of this machine.\nlisten: %q\njournal: %q\nseal: %q\n%supstreams:\n",
		listen, "sqlite:"+filepath.Join(dir, "bridge.db"), config.NewSeal(), more)
	for _, s := range sims {
		fmt.Fprintf(&b, "  %s:\n%s", s.name, strings.ReplaceAll(s.upstream, "%s", urls[s.name]))
	}
	b.WriteString("taxpayers:\n")
	for _, s := range sims {
		fmt.Fprintf(&b, "  %s:\n    upstream: %s\n%s", s.taxpayer, s.name, s.settings)
	}
	fmt.Fprintf(&b, "callers:\n  erp:\n    tokens: [\"sha256:%s\"] # %s\n    taxpayers: all\n", access.HashToken(demoToken), demoToken)
	return b.String()
}

func sandboxCommand() *cobra.Command {
	var dir string
	var auto bool
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Serve the simulators of the upstreams alone, for trying a configuration",
		Long: "Sandbox serves each simulator on a port of its own and prints the configuration that reaches them.\n" +
			"Faults, clock, documents and the log of calls are under /_sandbox/ of each.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serveSandbox(cmd, dir, auto)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder for keys and the configuration; a temporary one by default")
	cmd.Flags().BoolVar(&auto, "auto-seed", false, "take every well-formed document id as an active document, without rate limits: for load")
	return cmd
}

func serveSandbox(cmd *cobra.Command, dir string, auto bool) error {
	dir, done, err := workDir(dir)
	if err != nil {
		return err
	}
	defer done()
	sims, err := simulators(dir, auto)
	if err != nil {
		return err
	}
	urls, closeAll, err := listenAll(sims, func(s simulator) http.Handler { return s.handler })
	if err != nil {
		return err
	}
	defer closeAll()
	path := filepath.Join(dir, "bridge.yaml")
	if err := os.WriteFile(path, []byte(demoConfig(sims, urls, "127.0.0.1:8080", dir, "")), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	w := cmd.OutOrStdout()
	for _, s := range sims {
		fmt.Fprintf(w, "%-14s %s  %s\n", s.name, urls[s.name], s.title)
	}
	fmt.Fprintf(w, "\nconfiguration  %s\ntry it with    einvoice-bridge serve -c %s\n", path, path)
	<-cmd.Context().Done()
	return nil
}

// workDir is dir, made if need be, or a temporary folder that done removes.
func workDir(dir string) (path string, done func(), err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "einvoice-bridge-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("making the folder: %w", err)
	}
	dir, err = filepath.Abs(dir)
	return dir, func() {}, err
}

// interrupted is whether ctx ended by a signal, which is how demo and sandbox are meant to end.
func interrupted(ctx context.Context) bool { return ctx.Err() != nil }
