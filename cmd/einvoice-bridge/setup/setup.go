// Package setup is the conversation of the command init: it asks what a first configuration needs, looks at each answer, and
// writes the file with comments, and one for its secrets beside it. [Run] is all of it; [Offers] are the APIs that it knows.
// It fills in the examples of fixtures/deploy.
package setup

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"einvoice-bridge/bridge/access"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/fixtures/deploy"
)

// Offer is an API that init knows a first configuration for, with its addresses by environment; an empty one must be
// asked for.
type Offer struct {
	Kind, title         string
	sandbox, production string
	Own                 []Question
}

// Question stands for one placeholder of an example.
type Question struct{ Ask, Placeholder string }

// india tells whether the taxpayers of an offer have GSTINs.
func (o Offer) india() bool { return o.Kind != "myinvois" && o.Kind != "cleartax-my" }

// ZeroToken is the hash in the examples that a real one replaces.
const ZeroToken = "0000000000000000000000000000000000000000000000000000000000000000"

// Offers are all of them.
var Offers = []Offer{
	{"nic", "NIC, India's e-invoice portal", "https://einv1api.gstsandbox.nic.in", "https://api.einvoice1.gst.gov.in", []Question{
		{"Client id", "your-client-id"}, {"API user name of the taxpayer", "your-api-user"}}},
	{"myinvois", "MyInvois, Malaysia", "https://preprod-api.myinvois.hasil.gov.my", "https://api.myinvois.hasil.gov.my", []Question{
		{"Client id", "your-client-id"}}},
	{"cleartax-my", "ClearTax, Malaysia", "https://api-sandbox.my.cleartax.com", "", nil},
	{"cleartax-in", "ClearTax, India", "https://api-sandbox.clear.in", "https://api.clear.in", nil},
	{"invx", "Vayana InvX, India", "", "", []Question{
		{"Organisation id", "your-org-id"}, {"User (e-mail address)", "your-user@example.com"}}},
	{"mastersindia", "Masters India's REST APIs", "https://clientbasic.mastersindia.co", "https://pro.mastersindia.co", []Question{
		{"User name", "your-user"}, {"Client id", "your-client-id"}}},
}

// Placeholders of addresses and taxpayers in the examples.
var (
	exampleTaxpayers = []string{"29AAFCD5862R000", "C25845632020"}
	ExampleBase      = regexp.MustCompile(`(?m)^(    base_url: )\S+.*$`)
	exampleAuth      = regexp.MustCompile(`(?m)^(    auth_url: )\S+.*$`)
)

// setup is one conversation.
type setup struct {
	in  *bufio.Reader
	out io.Writer
	err error // the first; what follows asks nothing
}

// Run asks over in and out, and writes the configuration to path, which must not exist.
func Run(in io.Reader, out io.Writer, path string) error {
	s := setup{in: bufio.NewReader(in), out: out}
	return s.run(path)
}

func (s *setup) run(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists already; name another file with -c", path)
	}
	o := s.choose()
	text := s.fill(o, defaultJournal(path))
	token := access.NewToken()
	text = strings.Replace(text, ZeroToken, access.HashToken(token), 1)
	if s.err != nil {
		return s.err
	}
	env := config.Beside(path, ".env")
	if err := errors.Join(WriteNew(path, text, 0o644), WriteNew(env, environment(text), 0o600)); err != nil {
		return err
	}
	s.say("\n%s and %s are written. The caller's access token, which is shown this once:\n\n  %s\n\nNext:\n", path, env, token)
	if o.Kind == "nic" {
		s.say("  put NIC's public key of that environment into %s\n", filepath.Join(filepath.Dir(path), "nic.pem"))
	}
	s.say("%s", whatNext(path, env))
	return nil
}

// whatNext tells how to check and how to serve, with the secrets' file, which a service reads by itself.
func whatNext(path, env string) string {
	serve := "  einvoice-bridge serve -c " + path + " --env-file " + env + "\n"
	if strings.HasPrefix(path, "/etc/") {
		serve = "  systemctl start einvoice-bridge\n"
	}
	return "  fill in " + env + ", then:\n  einvoice-bridge check --online -c " + path + " --env-file " + env + "\n" + serve
}

func (s *setup) say(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// ask puts a question until the answer is a right one. An empty answer takes the default, if there is one.
func (s *setup) ask(question, fallback string, wrong ...func(string) string) string {
	for s.err == nil {
		if s.say("%s", question); fallback != "" {
			s.say(" [%s]", fallback)
		}
		s.say(": ")
		line, err := s.in.ReadString('\n')
		if answer := cmp.Or(strings.TrimSpace(line), fallback); answer != "" {
			what := ""
			for _, w := range wrong {
				what = cmp.Or(what, w(answer))
			}
			if what == "" {
				return answer
			}
			s.say("%s\n", what)
		}
		if err != nil {
			s.err = errors.New("the answers ended before the questions")
		}
	}
	return fallback
}

func (s *setup) choose() Offer {
	s.say("Which API carries the cancellations?\n")
	for i, o := range Offers {
		s.say("  %d  %s (%s)\n", i+1, o.title, o.Kind)
	}
	for s.err == nil {
		answer := s.ask("Number or name", "1")
		if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(Offers) {
			return Offers[n-1]
		}
		if i := slices.IndexFunc(Offers, func(o Offer) bool { return o.Kind == answer }); i >= 0 {
			return Offers[i]
		}
		s.say("There is no %q.\n", answer)
	}
	return Offers[0]
}

// defaultJournal is a file in the present folder, but for a service of the system the folder that is made for its state.
func defaultJournal(config string) string {
	if strings.HasPrefix(config, "/etc/") {
		return "sqlite:/var/lib/einvoice-bridge/bridge.db"
	}
	return "sqlite:bridge.db"
}

// fill asks what the example of an API needs and puts the answers in the places of its placeholders.
func (s *setup) fill(o Offer, journal string) string {
	data, err := fs.ReadFile(deploy.Files, "examples/"+o.Kind+".yaml")
	if s.err = errors.Join(s.err, err); s.err != nil {
		return ""
	}
	text := string(data)
	put := func(placeholder, answer string) {
		v := yamlText(answer)
		text = strings.NewReplacer(`"`+placeholder+`"`, v, placeholder, v).Replace(text)
	}
	production := strings.HasPrefix(strings.ToLower(s.ask("Sandbox or production", "sandbox")), "p")
	base := o.sandbox
	if production {
		base = o.production
		text = strings.Replace(text, "environment: sandbox ", "environment: production ", 1)
		text = strings.Replace(text, "environment: sandbox\n", "environment: production\n", 1)
	}
	text = ExampleBase.ReplaceAllString(text, "${1}"+literal(s.ask("Base URL of the API", base, wrongURL)))
	if o.Kind == "invx" {
		auth := "https://sandbox.services.vayananet.com/theodore/apis/v1"
		if production {
			auth = "https://services.vayana.com/theodore/apis/v1"
		}
		text = exampleAuth.ReplaceAllString(text, "${1}"+literal(s.ask("Base URL of the login (theodore)", auth, wrongURL)))
	}
	for _, q := range o.Own {
		put(q.Placeholder, s.ask(q.Ask, "", wrongOwn))
	}
	taxpayer := strings.ToUpper(s.ask("GSTIN or TIN of the taxpayer, as callers send it in user_gstin", "", o.wrongTaxpayer))
	for _, t := range exampleTaxpayers {
		put(t, taxpayer)
	}
	text = strings.Replace(text, "\n  erp:\n", "\n  "+yamlText(s.ask("Name of the program that calls", "erp"))+":\n", 1)
	listen := s.ask("Address to listen at", "127.0.0.1:8080", wrongAddress)
	put("127.0.0.1:8080", listen)
	if onlyHere(listen) {
		s.say("No other machine can reach that. For callers on others: 0.0.0.0:8080, or this machine's own address.\n")
	}
	put("https://einvoice.example.com", s.ask("Public URL, as callers reach it", "http://"+reachable(listen), wrongURL))
	put("sqlite:bridge.db", s.ask("Journal (sqlite:FILE, or postgres://… for several machines)", journal, wrongJournal))
	return text
}

func wrongURL(s string) string {
	if u, err := url.Parse(s); err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "That is no address like https://host.example."
	}
	return ""
}

func wrongAddress(s string) string {
	_, port, err := net.SplitHostPort(s)
	if n, err2 := strconv.Atoi(port); err != nil || err2 != nil || n < 0 || n > 65535 {
		return "That is not host:port, such as 0.0.0.0:8080."
	}
	return ""
}

func wrongJournal(s string) string {
	if file, ok := strings.CutPrefix(s, "sqlite:"); ok && file != "" || strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://") {
		return ""
	}
	return "That is neither sqlite:FILE nor postgres://…"
}

var gstinOrLike = regexp.MustCompile(`^[0-9]{2}[A-Z0-9]{13}$`)

// wrongOwn keeps the taxpayer out of the answers that name a user or a client.
func wrongOwn(s string) string {
	if gstinOrLike.MatchString(strings.ToUpper(s)) {
		return "That is a GSTIN, which is asked for later; it is nobody's user name or id."
	}
	return ""
}

// wrongTaxpayer looks at a GSTIN's form and check character. TINs have several forms.
func (o Offer) wrongTaxpayer(s string) string {
	s = strings.ToUpper(s)
	switch meant := config.MeantGSTIN(s); {
	case !o.india():
		return ""
	case !gstinOrLike.MatchString(s):
		return "That is no GSTIN, which has 15 letters and digits, two digits first."
	case meant != s:
		return fmt.Sprintf("That has a wrong character: with the others as they are, the last is %s.", meant[14:])
	}
	return ""
}

// onlyHere tells whether an address is this machine's alone.
func onlyHere(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// reachable is an address to listen at as callers may reach it.
func reachable(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if host == "" || net.ParseIP(host).IsUnspecified() {
		name, _ := os.Hostname()
		host = cmp.Or(name, "localhost")
	}
	return net.JoinHostPort(host, port)
}

var plainText = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/@:-]*$`)

// yamlText is an answer as YAML: quoted where it must be, a dollar sign kept from meaning a variable.
func yamlText(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	if plainText.MatchString(s) && !strings.HasSuffix(s, ":") {
		return s
	}
	return strconv.Quote(s)
}

// literal is yamlText for a regular expression's replacement, where a dollar sign means something too.
func literal(s string) string { return strings.ReplaceAll(yamlText(s), "$", "$$") }

var usedVariable = regexp.MustCompile(`\$\{([A-Z0-9_]+)\}`)

// SealVariable is the secret that is the bridge's own.
const SealVariable = "EINVOICE_BRIDGE_SEAL"

// environment lists the variables that the text's settings need, for their values to be filled in.
func environment(text string) string {
	b := "# The secrets of the configuration beside this file: fill them in, and keep the file to yourself. Write each as it is,\n" +
		"# without quotes: then systemd, Windows, Kubernetes (--from-env-file) and --env-file read the same. One with a backslash\n" +
		"# or a quote in it, or blanks around it, goes into a file of its own: \"file:name\" in the configuration.\n"
	for _, line := range strings.Split(text, "\n") {
		setting, _, _ := strings.Cut(line, "# ")
		for _, m := range usedVariable.FindAllStringSubmatch(setting, -1) {
			b += m[1] + "="
			if m[1] == SealVariable {
				b += config.NewSeal() // nobody else gives it out
			}
			b += "\n"
		}
	}
	return b
}

// WriteNew writes a file that must not exist.
func WriteNew(path, text string, mode os.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.WriteString(text)
	return err
}
