package soap_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/soap"
)

const captures = "../../fixtures/captures"

// readCapture splits a recorded request into what Decode wants, undoing chunked framing.
func readCapture(t testing.TB, path string) (soap.Header, []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return soap.Header{
		ContentType:     req.Header.Get("Content-Type"),
		ContentEncoding: req.Header.Get("Content-Encoding"),
		SOAPAction:      req.Header.Get("SOAPAction"),
	}, body
}

func capturePaths(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(captures, "*.http"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures in %s: %v", captures, err)
	}
	return paths
}

// Every recorded client made the same call, so every one must read the same.
func TestCaptures(t *testing.T) {
	for _, path := range capturePaths(t) {
		name := strings.TrimSuffix(filepath.Base(path), ".http")
		t.Run(name, func(t *testing.T) {
			h, body := readCapture(t, path)
			req, err := soap.NewDecoder(soap.DefaultContract()).Decode(h, body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wantCapture(name), values(req)); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			if want := wantVersion(name); req.Version != want {
				t.Errorf("SOAP version %s, want %s", req.Version, want)
			}
			if req.Operation != "eInvoiceCancel" || req.Namespace != "urn:server" {
				t.Errorf("operation %q in %q", req.Operation, req.Namespace)
			}
			if len(req.Notes) != 0 {
				t.Errorf("needed leniency: %q", req.Notes)
			}
		})
	}
}

func values(req *soap.Request) map[string]string {
	m := map[string]string{}
	for _, p := range req.Params {
		m[p.Slot] = p.Text
	}
	return m
}

func wantCapture(name string) map[string]string {
	remarks := "Wrong entry <&> \"q\" é ₹"
	switch {
	case strings.HasSuffix(name, ".NULL"):
		remarks = ""
	case strings.HasPrefix(name, "nusoap-"): // its Latin-1 has no rupee sign
		remarks = "Wrong entry <&> \"q\" é ?"
	}
	return map[string]string{
		"access_token":   "tok-123",
		"user_gstin":     "09AAAPG7885R002",
		"irn":            "a5c12dca80e743321740b001fd70953e8738d109865d28ba4013750f2046f229",
		"cancel_reason":  "1",
		"cancel_remarks": remarks,
	}
}

func wantVersion(name string) soap.Version {
	if strings.HasSuffix(name, "-doc12") || name == "gsoap-doc" {
		return soap.SOAP12
	}
	return soap.SOAP11
}
