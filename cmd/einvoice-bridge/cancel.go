package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/server"
	"einvoice-bridge/bridge/soap"
)

// Exit codes of cancel, so that a script can tell the ends apart. 1 is a call that was never made.
const (
	exitRefused  exitCode = 3 // the authority, or a check, said no
	exitFault    exitCode = 4 // a fault of the Server: not carried out, or not known yet; its text says which
	exitClient   exitCode = 5 // a fault of the Client: the request was wrong
	exitNoAnswer exitCode = 6 // nothing came back, or nothing that can be read: the outcome is unknown
)

const tokenVariable = "EINVOICE_BRIDGE_TOKEN"

// cancelCall is one call of the cancel command.
type cancelCall struct {
	url, configFile, tokenFile, ca string
	certificate, key               string
	taxpayer, irn, reason, remarks string
	version                        string
	timeout                        time.Duration
	showWire, asJSON               bool
	contract                       *soap.Contract
	token                          string
}

func cancelCommand() *cobra.Command {
	c := &cancelCall{}
	cmd := &cobra.Command{
		Use:   "cancel",
		Short: "Cancel one invoice as an ERP would, over SOAP, and print the reply",
		Long: `Cancel makes one eInvoiceCancel call. It is a real one: what it names is cancelled at the authority.

The access token is read from the environment variable ` + tokenVariable + ` or, with --token-file, from a file
("-" for standard input), so that it shows in no process list.

Exit codes: 0 cancelled, 3 refused, 4 a fault of the Server (not carried out, or not known yet: sending again is
safe), 5 a fault of the Client (the request is wrong), 6 no answer that can be read, 1 the call was not made.`,
		Example: `  export ` + tokenVariable + `=b29cee21…
  einvoice-bridge cancel --taxpayer 29AAFCD5862R000 --irn 1e6a362e… --reason 1 --remarks "Wrong entry"
  einvoice-bridge cancel -c bridge.yaml --soap 1.2 --wire --taxpayer C25845632020 --irn F9D425P6DS7D8IU`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.url, "url", "", "address of the service; by default that of the configuration, or http://127.0.0.1:8080"+server.Paths[0])
	f.StringVarP(&c.configFile, "config", "c", "", "configuration file: for the address and for names that differ on the wire")
	f.StringVar(&c.tokenFile, "token-file", "", "file that holds the access token; - for standard input")
	f.StringVar(&c.ca, "ca", "", "PEM file of the CA behind the service's certificate")
	f.StringVar(&c.certificate, "certificate", "", "PEM file of the certificate to show, for callers that must")
	f.StringVar(&c.key, "key", "", "PEM file of its key")
	f.StringVar(&c.taxpayer, "taxpayer", "", "GSTIN or TIN (user_gstin)")
	f.StringVar(&c.irn, "irn", "", "the invoice's IRN, UUID or document id")
	f.StringVar(&c.reason, "reason", "1", "1 duplicate, 2 data entry mistake, 3 order cancelled, 4 others")
	reasons := []string{"1\tduplicate", "2\tdata entry mistake", "3\torder cancelled", "4\tothers"}
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(reasons, cobra.ShellCompDirectiveNoFileComp)))
	f.StringVar(&c.remarks, "remarks", "", "remarks for the authority")
	f.StringVar(&c.version, "soap", "1.1", "SOAP version, 1.1 or 1.2")
	f.DurationVar(&c.timeout, "timeout", 70*time.Second, "how long to wait for the answer")
	f.BoolVar(&c.showWire, "wire", false, "show the envelopes, the token masked")
	f.BoolVar(&c.asJSON, "json", false, "print the reply as JSON")
	cobra.CheckErr(errors.Join(cmd.MarkFlagRequired("taxpayer"), cmd.MarkFlagRequired("irn")))
	return cmd
}

func (c *cancelCall) run(cmd *cobra.Command) error {
	if err := errors.Join(c.configure(), c.readToken(cmd.InOrStdin())); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	req, sent, err := c.request(cmd.Context())
	if err != nil {
		return err
	}
	start := time.Now()
	resp, answer, err := exchange(client, req)
	took := time.Since(start).Round(time.Millisecond)
	if c.showWire {
		fmt.Fprintf(cmd.OutOrStdout(), "sent to %s\n%s\n\nreceived after %s: %s\n%s\n\n", c.url, c.masked(sent), took, status(resp), c.masked(answer))
	}
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "einvoice-bridge: no answer after %s: %v\n"+
			"the invoice may have been cancelled all the same; sending again is safe\n", took, err)
		return exitNoAnswer
	}
	return c.tell(cmd.OutOrStdout(), cmd.ErrOrStderr(), resp, answer)
}

// request is the call as HTTP, and its envelope.
func (c *cancelCall) request(ctx context.Context) (*http.Request, []byte, error) {
	version := soap.SOAP11
	switch c.version {
	case "1.1":
	case "1.2":
		version = soap.SOAP12
	default:
		return nil, nil, fmt.Errorf("--soap is 1.1 or 1.2, not %q", c.version)
	}
	op := &c.contract.Cancel
	body := c.contract.EncodeRequest(version, op, map[string]string{
		soap.SlotAccessToken: c.token, soap.SlotUserGSTIN: c.taxpayer, soap.SlotIRN: c.irn,
		soap.SlotCancelReason: c.reason, soap.SlotCancelRemarks: c.remarks,
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	h := c.contract.RequestHeader(version, op)
	req.Header.Set("Content-Type", h.ContentType)
	if h.SOAPAction != "" {
		req.Header.Set("SOAPAction", h.SOAPAction)
	}
	return req, body, nil
}

// configure finds out where to call and by which names.
func (c *cancelCall) configure() (err error) {
	c.contract = soap.DefaultContract()
	fallback := "http://127.0.0.1:8080"
	if c.configFile != "" {
		f, err := config.Load(c.configFile, app.FileKinds)
		if err != nil {
			return inFile(c.configFile, err)
		}
		if c.contract, err = app.Contract(f); err != nil {
			return err
		}
		fallback = cmp.Or(strings.TrimRight(f.PublicURL, "/"), "http://"+f.Listen[0].Address)
	}
	c.url = cmp.Or(c.url, fallback+server.Paths[0])
	return nil
}

func (c *cancelCall) readToken(stdin io.Reader) error {
	if c.tokenFile == "" {
		if c.token = os.Getenv(tokenVariable); c.token == "" {
			return fmt.Errorf("no access token: set %s or name a file with --token-file", tokenVariable)
		}
		return nil
	}
	from := stdin
	if c.tokenFile != "-" {
		f, err := os.Open(c.tokenFile)
		if err != nil {
			return fmt.Errorf("reading the access token: %w", err)
		}
		defer f.Close()
		from = f
	}
	line, err := bufio.NewReader(from).ReadString('\n')
	if c.token = strings.TrimSpace(line); c.token == "" {
		return errors.Join(errors.New("the token file's first line is empty"), err)
	}
	return nil
}

func (c *cancelCall) client() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{}
	if c.ca != "" {
		pem, err := os.ReadFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("reading the CA: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.ca)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if c.certificate != "" || c.key != "" {
		cert, err := tls.LoadX509KeyPair(c.certificate, c.key)
		if err != nil {
			return nil, fmt.Errorf("reading --certificate and --key: %w", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	}
	return &http.Client{Transport: t, Timeout: c.timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a cancellation is not sent to whoever an answer names
	}}, nil
}

func exchange(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp, body, err
}

func status(resp *http.Response) string {
	if resp == nil {
		return "nothing"
	}
	return resp.Status
}

func (c *cancelCall) masked(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte(c.token), []byte("***"))
}

// toldJSON is the reply for scripts. Outcome is cancelled, refused or fault.
type toldJSON struct {
	Outcome    string `json:"outcome"`
	HTTPStatus int    `json:"http_status"`
	IRN        string `json:"irn,omitempty"`
	CancelDate string `json:"cancel_date,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	Fault      string `json:"fault,omitempty"`
	FaultCode  string `json:"fault_code,omitempty"`
	RetryAfter string `json:"retry_after,omitempty"`
	Ref        string `json:"ref,omitempty"`
}

// tell prints the reply and ends with the exit code of its outcome.
func (c *cancelCall) tell(w, stderr io.Writer, resp *http.Response, answer []byte) error {
	got, err := soap.NewDecoder(c.contract).DecodeReply(soap.Header{ContentType: resp.Header.Get("Content-Type")}, answer)
	if err != nil {
		fmt.Fprintf(stderr, "einvoice-bridge: %s answered %s, which can't be read: %v (--wire shows it)\n", c.url, resp.Status, err)
		return exitNoAnswer
	}
	t := toldJSON{HTTPStatus: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After"), Ref: got.Ref}
	code := exitCode(0)
	switch r := got.Cancel; {
	case got.Fault != nil:
		t.Outcome, t.Fault, t.FaultCode, code = "fault", got.Fault.Text, got.Fault.Code.String(), exitFault
		if got.Fault.Code != soap.Server {
			code = exitClient
		}
	case r.Code == "503": // a fault for callers that read none (trouble_as: reply)
		t.Outcome, t.Fault, t.Code, code = "fault", r.Message, r.Code, exitFault
	case r.Failed:
		t.Outcome, t.Message, t.Code, code = "refused", r.Message, r.Code, exitRefused
	default:
		t.Outcome, t.IRN, t.CancelDate, t.Code = "cancelled", r.IRN, r.CancelDate, r.Code
	}
	if err := t.print(w, c.asJSON); err != nil || code == 0 {
		return err
	}
	return code
}

func (t toldJSON) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(t)
	}
	switch t.Outcome {
	case "cancelled":
		fmt.Fprintf(w, "cancelled  %s on %s\n", t.IRN, t.CancelDate)
	case "refused":
		fmt.Fprintf(w, "refused  %s (code %s)\n", t.Message, t.Code)
	default:
		fmt.Fprintf(w, "fault  %s\n", t.Fault)
	}
	if t.RetryAfter != "" {
		fmt.Fprintf(w, "retry after %s s\n", t.RetryAfter)
	}
	if t.Ref != "" {
		fmt.Fprintf(w, "ref %s\n", t.Ref)
	}
	return nil
}
