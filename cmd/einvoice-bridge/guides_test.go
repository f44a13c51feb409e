package main

import (
	"encoding/xml"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/upstream/irp"
	"einvoice-bridge/cmd/einvoice-bridge/setup"
	"einvoice-bridge/fixtures/sandbox/demo"
)

// What the README and the guides say is held to the program here: commands, alarms, rules, codes and samples.

func guide(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "fixtures", "deploy", "guides", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are the README and everything of fixtures/deploy that shows commands, by name.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"README.md": readme(t)}
	dir := filepath.Join("..", "..", "fixtures", "deploy")
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".md", ".yaml", ".service", ".cfg", ".Debian"}, filepath.Ext(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	// quoted is a command in running text, shown one in a block that a reader copies.
	quotedCommand = regexp.MustCompile("`(?:bin/)?einvoice-bridge ([a-z][^`]*)`")
	shownCommand  = regexp.MustCompile(`(?m)^(?: {4,}|#   |ExecStart\w*=/usr/bin/)(?:go run \./cmd/|bin/)?einvoice-bridge ([a-z][^#|\n]*)`)
	shellWord     = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// Every command that is shown exists with its flags; one that stands in a block to be copied is complete.
func TestEveryCommandInTheDocumentsParses(t *testing.T) {
	n := 0
	for name, text := range documents(t) {
		for _, m := range quotedCommand.FindAllStringSubmatch(text, -1) {
			n++
			if _, _, err := parseCommand(m[1]); err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
		for _, m := range shownCommand.FindAllStringSubmatch(text, -1) {
			n++
			cmd, args, err := parseCommand(m[1])
			if err == nil {
				err = cmd.ValidateRequiredFlags()
			}
			if err == nil {
				err = cmd.ValidateArgs(args)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", name, m[1], err)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d commands were found", n)
	}
}

func parseCommand(line string) (*cobra.Command, []string, error) {
	words := shellWord.FindAllString(line, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], `"'`)
	}
	cmd, rest, err := root().Find(words)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil {
		return nil, nil, err
	}
	args := cmd.Flags().Args()
	if cmd.HasSubCommands() && len(args) > 0 {
		return nil, nil, fmt.Errorf("%s has no command %s", cmd.CommandPath(), args[0])
	}
	return cmd, args, nil
}

var mdLink = regexp.MustCompile(`\]\(([^)#:]*)(#[^)]*)?\)`)

// Links between the documents lead somewhere, and the README leads to every guide.
func TestLinksLeadSomewhere(t *testing.T) {
	for name, text := range documents(t) {
		if filepath.Ext(name) != ".md" {
			continue
		}
		if name == "README.md" {
			name = filepath.Join("..", "..", name)
		}
		for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
			target := name
			if m[1] != "" {
				target = filepath.Join(filepath.Dir(name), m[1])
			}
			linked, err := os.ReadFile(target)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if m[2] != "" && !slices.Contains(anchors(string(linked)), m[2]) {
				t.Errorf("%s: %s has no heading %s", name, target, m[2])
			}
		}
	}
	for _, name := range []string{"erp.md", "authorities.md", "operations.md", "security.md"} {
		if guide(t, name); !strings.Contains(readme(t), "(fixtures/deploy/guides/"+name) {
			t.Errorf("the README does not lead to %s", name)
		}
	}
}

var (
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notAnchor = regexp.MustCompile("[^a-z0-9 -]")
)

// anchors are the headings as links name them.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, "#"+strings.ReplaceAll(notAnchor.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// The configurations that are shown are accepted, once their ellipses and secrets are filled in.
func TestShownConfigurationsAreAccepted(t *testing.T) {
	_, path := sandboxed(t, nil) // leaves a nic.pem
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	caller := "callers:\n  erp: {tokens: [\"sha256:…\"], taxpayers: all}\n"
	for name, text := range map[string]string{"README.md": readme(t), "authorities.md": guide(t, "authorities.md") + caller} {
		_, shown, _ := strings.Cut(text, "```yaml\n")
		shown, rest, _ := strings.Cut(shown, "```")
		if !strings.Contains(shown, "callers:") {
			shown += rest[strings.Index(rest, "callers:"):]
		}
		shown = strings.NewReplacer("sha256:…", "sha256:"+setup.ZeroToken, "/run/secrets/nic-password", secret, "…", "filled-in").Replace(shown)
		if _, err := config.Parse([]byte(shown), filepath.Dir(path), exampleEnvironment, app.FileKinds); err != nil {
			t.Errorf("%s: %v\n%s", name, err, shown)
		}
	}
}

// firstCells are the words in code of a table's first column.
func firstCells(rows [][]string) (all []string) {
	for _, row := range rows[1:] {
		all = append(all, strings.Trim(row[0], "`"))
	}
	slices.Sort(all)
	return all
}

// Both tables of alarms have every kind, and the table of rules every rule.
func TestEveryAlarmIsExplained(t *testing.T) {
	source, err := os.ReadFile(filepath.Join("..", "..", "bridge", "observe.go"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := submatches(regexp.MustCompile(`AlarmKind = "([a-z_]+)"`), string(source))
	operations := guide(t, "operations.md")
	if got := firstCells(tableIn(t, operations, "alarm |")); !slices.Equal(got, kinds) {
		t.Errorf("operations.md explains the alarms %v, there are %v", got, kinds)
	}
	rules, err := os.ReadFile(filepath.Join("..", "..", "fixtures", "deploy", "prometheus", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts := submatches(regexp.MustCompile(`(?m)^      - alert: (\w+)`), string(rules))
	if got := firstCells(tableIn(t, operations, "rule |")); !slices.Equal(got, alerts) {
		t.Errorf("operations.md explains the rules %v, there are %v", got, alerts)
	}
}

func submatches(re *regexp.Regexp, text string) (all []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// What the ERP sees of NIC's codes is what the bridge makes of them.
func TestGuideClassifiesNICsCodes(t *testing.T) {
	says := map[irp.Class]string{
		irp.Business: "204", irp.Payload: "204", irp.Already: "204, or 200", irp.Token: "nothing",
		irp.Config: "Fault \"not configured correctly\"", irp.Temporary: "looked up first",
	}
	for _, row := range tableIn(t, guide(t, "authorities.md"), "code | NIC's words |")[1:] {
		codes := strings.Split(row[0], ", ")
		for _, code := range codes {
			e := irp.Error{Code: code}
			if len(codes) == 1 {
				e.Text = row[1] // 9999 goes by its words
			}
			class, unlisted := irp.Errors{e}.Class()
			if want := says[class]; unlisted || want == "" || !strings.HasPrefix(row[2], want) {
				t.Errorf("%s: the guide says %q, the bridge's class is %v", code, row[2], class)
			}
		}
	}
}

var (
	sqlLiteral  = regexp.MustCompile(`'([^']*)'|DBMS_XMLGEN\.CONVERT\((\w+)\)`)
	sqlVariable = regexp.MustCompile(`(p_\w+)\s+VARCHAR2\(\d+\)\s*:= '([^']*)'`)
	sqlPath     = regexp.MustCompile(`PATH '([^']*)'`)
)

// The PL/SQL sample, as far as it can be held to the program here: its envelope is read with all its values, and each
// path finds something in the bridge's answers.
func TestPLSQLSample(t *testing.T) {
	sql := guide(t, "cancel.sql")
	values := map[string]string{}
	for _, m := range sqlVariable.FindAllStringSubmatch(sql, -1) {
		values[m[1]] = m[2]
	}
	_, expression, _ := strings.Cut(sql, "l_envelope :=")
	expression, _, _ = strings.Cut(expression, ";\n")
	var envelope strings.Builder
	for _, m := range sqlLiteral.FindAllStringSubmatch(expression, -1) {
		envelope.WriteString(m[1])
		if err := xml.EscapeText(&envelope, []byte(values[m[2]])); err != nil {
			t.Fatal(err)
		}
	}
	sims, path, url, ready := served(t)
	spawn(t, "serve", "-c", path).await(ready)
	if values["p_token"] != demo.Token || values["p_gstin"] != sims[0].Taxpayer || values["p_irn"] != sims[0].Success {
		t.Errorf("the sample is not the sandbox's: %v", values)
	}
	success, err := post(url, envelope.String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := soap.NewDecoder(soap.DefaultContract()).DecodeReply(soap.Header{ContentType: soapType}, success)
	if err != nil || got.Fault != nil || got.Cancel.Failed {
		t.Fatalf("%v %s", err, success)
	}
	out, err := runCommand(t, "journal", "show", "-c", path, values["p_irn"])
	if err != nil || !strings.Contains(out, values["p_remarks"]) {
		t.Errorf("the remarks did not arrive as they were meant: %v\n%s", err, out)
	}
	fault, err := post(url, strings.ReplaceAll(envelope.String(), "eInvoiceCancel", "eInvoiceForget"))
	if err != nil {
		t.Fatal(err)
	}
	there := append(elementPaths(t, success), elementPaths(t, fault)...)
	for _, m := range sqlPath.FindAllStringSubmatch(sql, -1) {
		p := strings.NewReplacer("e:", "http://schemas.xmlsoap.org/soap/envelope/:", "s:", "urn:server:").Replace(m[1])
		if !slices.Contains(there, p) {
			t.Errorf("no answer has %s", p)
		}
	}
}

// elementPaths are the elements below the body, with their namespaces.
func elementPaths(t *testing.T, envelope []byte) (all []string) {
	t.Helper()
	var stack []string
	for d := xml.NewDecoder(strings.NewReader(string(envelope))); ; {
		token, err := d.Token()
		if err != nil {
			return all
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			if e.Name.Space != "" {
				name = e.Name.Space + ":" + name
			}
			if stack = append(stack, name); len(stack) > 2 {
				all = append(all, strings.Join(stack[2:], "/"))
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

// The PHP sample runs as it stands, but for the address.
func TestPHPSample(t *testing.T) {
	php := need(t, "php")
	_, path, url, ready := served(t)
	spawn(t, "serve", "-c", path).await(ready)
	_, sample, _ := strings.Cut(guide(t, "erp.md"), "```php\n")
	sample, _, _ = strings.Cut(sample, "```")
	sample = strings.ReplaceAll(sample, "https://einvoice.example.com", strings.TrimSuffix(url, server.Paths[0]))
	for token, want := range map[string]string{demo.Token: "Success 200 20", "wrong": "Failed 204  The access token provided is invalid"} {
		cmd := exec.Command(php, "-d", "soap.wsdl_cache_enabled=0", "-r", sample)
		cmd.Env = append(os.Environ(), tokenVariable+"="+token)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("got %v, %s, want %s", err, out, want)
		}
	}
}
