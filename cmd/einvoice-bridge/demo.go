package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/observe"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/fixtures/sandbox/demo"
)

func demoCommand() *cobra.Command {
	d := demonstration{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: simulators, bridge and one cancellation through each upstream, without any set-up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out = cmd.OutOrStdout()
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.listen, "listen", "127.0.0.1:8080", "address for SOAP callers; 127.0.0.1:0 takes a free port")
	cmd.Flags().StringVar(&d.dir, "dir", "", "folder that keeps journal and configuration; a temporary one by default")
	cmd.Flags().BoolVar(&d.once, "once", false, "end after the calls: exit 0 if every answer was right, else 1")
	cmd.Flags().BoolVar(&d.verbose, "verbose", false, "show what goes over both wires, SOAP and JSON, encrypted and decrypted")
	return cmd
}

// demonstration is a bridge in front of simulators, and a caller that says what it was told and, if asked, shows the wires.
type demonstration struct {
	listen, dir   string
	once, verbose bool
	out           io.Writer

	app          *app.App
	sims         []demo.Simulator
	taps         map[string]*tap
	calls, wrong int // wrong are those whose answers were not right
}

func (d *demonstration) run(ctx context.Context) error {
	dir, done, err := workDir(d.dir)
	if err != nil {
		return err
	}
	defer done()
	sims, err := demo.New(dir, false)
	if err != nil {
		return err
	}
	return d.play(ctx, dir, sims)
}

// play starts everything, makes the calls, and then serves unless it is to end.
func (d *demonstration) play(ctx context.Context, dir string, sims []demo.Simulator) error {
	d.sims, d.taps = sims, map[string]*tap{}
	urls, closeAll, err := demo.Listen(d.sims, func(s demo.Simulator) http.Handler {
		d.taps[s.Name] = &tap{handler: s.Handler}
		return d.taps[s.Name]
	})
	if err != nil {
		return err
	}
	defer closeAll()
	if err := d.startBridge(ctx, dir, urls); err != nil {
		return err
	}
	d.show()
	fmt.Fprintf(d.out, "\n%d calls, %d answers right.\n", d.calls, d.calls-d.wrong)
	if !d.once && !interrupted(ctx) {
		d.invite()
		err = d.app.Wait(ctx)
	}
	if stopErr := d.app.Stop(); err == nil {
		err = stopErr
	}
	if err == nil && d.wrong > 0 {
		return exitCode(1)
	}
	return err
}

func (d *demonstration) startBridge(ctx context.Context, dir string, urls map[string]string) error {
	path := filepath.Join(dir, "bridge.yaml")
	text := demo.Config(d.sims, urls, d.listen, dir, demo.Quiet)
	if !strings.HasSuffix(d.listen, ":0") {
		text = "public_url: http://" + d.listen + "\n" + text
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	f, err := config.Load(path, app.FileKinds)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler) // a refusal that raises an alarm is part of the story
	if d.verbose {
		log = observe.NewLogger(os.Stderr, "text", slog.LevelError.String())
	}
	if d.app, err = app.New(ctx, f, app.Process{Log: log, Version: buildVersion()}); err != nil {
		return err
	}
	return d.app.Start()
}

// show makes the demo's calls: a success and a refusal through each upstream, and one repeat.
func (d *demonstration) show() {
	for i, s := range d.sims {
		d.call(s, "", s.Success, soap.CancelReply{IRN: s.Success, Code: "200"})
		d.call(s, "", s.Refusal, soap.CancelReply{Failed: true, Message: s.Says, Code: "204"})
		if i == 0 {
			d.call(s, "again: ", s.Success,
				soap.CancelReply{IRN: s.Success, Code: "200"})
		}
	}
}

// call posts one envelope and says in a line how it was answered, held against want. The date of a success is the
// authority's and only its form is known.
func (d *demonstration) call(s demo.Simulator, again, document string, want soap.CancelReply) {
	in := demo.Envelope(s.Taxpayer, document)
	body, err := post(d.app.PublicURL()+server.Paths[0], in)
	raw := d.taps[s.Name].take()
	if d.verbose {
		fmt.Fprintf(d.out, "\n━━ %s: %s\n\nSOAP in\n  %s\n", s.Title, document, in)
		d.showWire(s, raw)
		fmt.Fprintf(d.out, "SOAP out\n  %s\n", body)
	}
	mark, told := "✔", ""
	if err == nil {
		told, err = judged(body, want)
	}
	if d.calls++; err != nil {
		d.wrong++
		mark, told = "✘", err.Error()
	}
	fmt.Fprintf(d.out, "%s %-13s %-18s %s%s (%s)\n", mark, s.Name, cut(document, 18), again, cut(told, 90), sent(len(raw)))
}

// sent says how much went to the simulator.
func sent(calls int) string {
	switch calls {
	case 0:
		return "nothing was sent"
	case 1:
		return "1 call of JSON"
	}
	return fmt.Sprintf("%d calls of JSON", calls)
}

// judged says how a call was answered; the error, how that is not what it should be.
func judged(body []byte, want soap.CancelReply) (string, error) {
	reply, err := soap.NewDecoder(soap.DefaultContract()).DecodeReply(soap.Header{ContentType: soapType}, body)
	switch {
	case err != nil:
		return "", fmt.Errorf("the answer can't be read: %w", err)
	case reply.Fault != nil:
		return "", fmt.Errorf("a fault: %s", reply.Fault.Text)
	}
	got := reply.Cancel
	_, err = time.Parse(time.DateTime, got.CancelDate)
	if dated := err == nil; dated != (want.Code == "200") {
		return "", fmt.Errorf("cancel date %q", got.CancelDate)
	}
	if want.CancelDate = got.CancelDate; got != want {
		return "", fmt.Errorf("got %+v, want %+v", got, want)
	}
	if got.Failed {
		return "refused, " + got.Message, nil
	}
	return "cancelled " + got.CancelDate, nil
}

// showWire prints what reached the simulator: the bytes, and what they say decrypted.
func (d *demonstration) showWire(s demo.Simulator, raw []passed) {
	calls := s.Log.Calls()
	if len(raw) == 0 {
		fmt.Fprintln(d.out, "JSON on the wire\n  (none)")
	}
	calls = calls[len(calls)-len(raw):]
	for i, r := range raw {
		c := calls[i]
		fmt.Fprintf(d.out, "JSON on the wire: %s\n  %s %s\n", c.Operation, c.Method, c.URL)
		if len(r.request) > 0 {
			fmt.Fprintf(d.out, "  sent      %s\n", r.request)
		}
		d.decrypted(c.Request, r.request)
		fmt.Fprintf(d.out, "  received  %d %s\n", c.Status, bytes.TrimSpace(r.reply))
		d.decrypted(c.Reply, r.reply)
	}
}

// decrypted prints what a body says, where the simulator had to decrypt it: it files such a body as another JSON
// object than what was on the wire, any other as it came (a form as a JSON string).
func (d *demonstration) decrypted(filed, wire []byte) {
	filed, wire = bytes.TrimSpace(filed), bytes.TrimSpace(wire)
	if bytes.HasPrefix(filed, []byte("{")) && !bytes.Equal(filed, wire) {
		fmt.Fprintf(d.out, "  decrypted %s\n", filed)
	}
}

// invite prints what to do next.
func (d *demonstration) invite() {
	url := d.app.PublicURL() + server.Paths[0]
	s := d.sims[0]
	fmt.Fprintf(d.out, "\nStill serving; Ctrl-C ends it. einvoice-bridge demo --verbose shows the wires.\n\nWSDL     %s?wsdl\n         %s?wsdl for new proxies\npage     %s\nconsole  %s\n\ncurl -s -H 'Content-Type: text/xml; charset=utf-8' --data '%s' '%s'\n\n",
		url, d.app.PublicURL()+server.Paths[1], url, d.app.ConsoleURL(), demo.Envelope(s.Taxpayer, s.Success), url)
}

const soapType = "text/xml; charset=utf-8"

func post(url, body string) ([]byte, error) {
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Post(url, soapType, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}
