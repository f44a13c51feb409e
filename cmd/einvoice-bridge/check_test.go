package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
)

// What check --online finds in order, serve serves with, and the reverse.
func TestCheckAndServeAgree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	hash := access.HashPassword("secret")
	console := func(hash string) func(string, string) string {
		return func(text, _ string) string {
			return strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf(`console: {listen: "127.0.0.1:0", username: u, password: %q}`, hash), 1)
		}
	}
	login := func(hash string) func(string, string) string {
		return func(text, _ string) string {
			return text + fmt.Sprintf("    login: {username: u, password: %q, client_id: c, client_secret: %q}\n", hash, hash)
		}
	}
	journalAt := func(place string) func(string, string) string {
		return func(text, dir string) string { return strings.Replace(text, dir+"/bridge.db", dir+place, 1) }
	}
	for name, c := range map[string]struct {
		edit        func(text, dir string) string
		says        string // empty: all is well
		here, taken bool   // it is this machine that is not fit; its ports alone
	}{
		"as it is":                           {func(text, _ string) string { return text }, "", false, false},
		"a hash":                             {console(hash), "", false, false},
		"a hash, each dollar twice":          {console(strings.ReplaceAll(hash, "$", "$$")), "", false, false},
		"a caller's hash, each dollar twice": {login(strings.ReplaceAll(hash, "$", "$$")), "", false, false},
		"half a hash":                        {console(hash[:30]), "password", false, false},
		"half a caller's hash":               {login(hash[:30]), "password", false, false},
		"a journal in no folder":             {journalAt("/none/bridge.db"), "folder", true, false},
		"a journal that is a folder":         {journalAt("/folder"), "directory", true, false},
		"a journal that is none":             {journalAt("/bridge.yaml"), "no journal", true, false},
		"an address that is taken": {func(text, _ string) string {
			return strings.Replace(text, `listen: "127.0.0.1:0"`, fmt.Sprintf("listen: %q", taken.Addr()), 1)
		}, "address already in use", false, true},
		"the console's is taken": {func(text, _ string) string {
			return strings.Replace(text, `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf("console: {listen: %q}", taken.Addr()), 1)
		}, "address already in use", false, true},
		"an address of another machine": {func(text, _ string) string {
			return strings.Replace(text, `listen: "127.0.0.1:0"`, `listen: "192.0.2.1:8080"`, 1)
		}, "192.0.2.1:8080", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, path := sandboxed(t, nil)
			dir := filepath.Dir(path)
			text, err := os.ReadFile(path)
			if err == nil {
				err = os.Mkdir(filepath.Join(dir, "folder"), 0o700)
			}
			if err == nil {
				err = os.WriteFile(path, []byte(c.edit(string(text), dir)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			out, checked := runCommand(t, "check", "--online", "-c", path)
			alone, err := runCommand(t, "check", "-c", path)
			if here := strings.Contains(alone, "on this machine serve would not start"); here != c.here || here && !strings.Contains(alone, c.says) ||
				(err == nil) != (c.says == "" || c.here || c.taken) {
				t.Errorf("check, without asking anybody else: %v\n%s", err, alone)
			}
			f, served := config.Load(path, app.FileKinds)
			if served == nil {
				var a *app.App
				if a, served = app.New(t.Context(), f, app.Process{Log: slog.New(slog.DiscardHandler)}); served == nil {
					served = errors.Join(a.Start(), a.Stop())
				}
			}
			if (checked == nil) != (c.says == "") || (served == nil) != (c.says == "") || !strings.Contains(out, c.says) ||
				strings.Contains(out, "is in order") != (c.says == "") {
				t.Errorf("check: %v, serve: %v\n%s", checked, served, out)
			}
		})
	}
}

// Beside a bridge that runs, its journal and its addresses are in order.
func TestCheckBesideTheBridge(t *testing.T) {
	_, path, _, ready := served(t)
	p := spawn(t, "serve", "-c", path)
	p.await(ready)
	out, err := runCommand(t, "check", "--online", "-c", path)
	if err != nil || !strings.Contains(out, "a bridge serves with it") || !strings.Contains(out, "is in order") {
		t.Errorf("%v\n%s", err, out)
	}
	p.await(ready)
	p.terminate()
}
