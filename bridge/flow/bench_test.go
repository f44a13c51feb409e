package flow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/flow"
	"einvoice-bridge/bridge/soap"
)

// BenchmarkDecodeCheckEncode is what a call costs on the SOAP side: the published sample (Masters India, Cancel
// E-invoice SOAP) is read, held against the rules and answered.
func BenchmarkDecodeCheckEncode(b *testing.B) {
	contract := soap.DefaultContract()
	decoder := soap.NewDecoder(contract)
	header := soap.Header{ContentType: "text/xml; charset=utf-8", SOAPAction: `"urn:server#eInvoiceCancel"`}
	body := []byte(`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server">   <soapenv:Header/>   <soapenv:Body>      <urn:eInvoiceCancel>         <access_token>b29cee2156282be62f51b24fe8b3f07f01c9bff1</access_token>         <user_gstin>09AAAPG7885R002</user_gstin>         <irn>1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae</irn>         <cancel_reason>1</cancel_reason>         <cancel_remarks>Wrong entry</cancel_remarks>      </urn:eInvoiceCancel>   </soapenv:Body></soapenv:Envelope>`)
	b.ReportAllocs()
	for b.Loop() {
		req, err := decoder.Decode(header, body)
		if err != nil {
			b.Fatal(err)
		}
		irn := req.Text(soap.SlotIRN)
		if !flow.CheckIRP(bridge.Request{IRN: irn, Reason: req.Text(soap.SlotCancelReason), Remarks: req.Text(soap.SlotCancelRemarks)}) {
			b.Fatal("the sample is refused")
		}
		contract.EncodeCancel(req.Version, req.Addressing, soap.CancelReply{IRN: irn, CancelDate: "2021-06-01 20:30:00"})
	}
	b.ReportMetric(40, "budget-µs/op")
	b.ReportMetric(40, "budget-allocs/op")
}

// nothing is a journal, an upstream, a budget and an observer that take no time: what is left is the flow's own.
type nothing struct {
	bridge.Journal
	profile bridge.Profile
}

func (*nothing) Now() time.Time { return time.Now() }

func (*nothing) Begin(_ context.Context, b bridge.Begin) (bridge.Entry, bool, error) {
	e := b.Entry
	e.ID, e.State, e.Attempts = 1, bridge.Sending, []bridge.Attempt{{ID: 1, Kind: bridge.SendCancel, Start: e.Created}}
	return e, true, nil
}

func (*nothing) Finish(_ context.Context, f *bridge.Finish) (bridge.Entry, error) {
	return bridge.Entry{ID: f.Entry, State: f.State, Outcome: f.Outcome}, nil
}
func (*nothing) MaySend(context.Context, *bridge.Entry) error { return nil }
func (*nothing) Release(context.Context, bridge.Entry) error  { return nil }
func (*nothing) Take(context.Context, bridge.Rate, int64) (time.Time, time.Duration, error) {
	return time.Time{}, 0, nil
}
func (*nothing) Return(context.Context, bridge.Rate, time.Time) error { return nil }
func (*nothing) Shut(context.Context, string, bridge.Gate) error      { return nil }
func (*nothing) Gate(context.Context, string) (bridge.Gate, bool, error) {
	return bridge.Gate{}, false, nil
}
func (*nothing) Answered(*bridge.CallReport)    {}
func (*nothing) Attempted(bridge.AttemptReport) {}
func (*nothing) Alarm(bridge.Alarm)             {}
func (n *nothing) Profile() *bridge.Profile     { return &n.profile }
func (*nothing) Cancel(ctx context.Context, _ bridge.Cancellation, fence bridge.Fence) bridge.Outcome {
	if err := fence(ctx); err != nil {
		return bridge.Outcome{Class: bridge.NotApplied}
	}
	return bridge.Outcome{Class: bridge.Cancelled, Date: "2026-01-02 03:04:05", DateSource: bridge.DateUpstream, Sent: true}
}

func (*nothing) Lookup(context.Context, bridge.Cancellation) (bridge.DocumentState, error) {
	return bridge.DocumentState{}, errors.ErrUnsupported
}
func (*nothing) Probe(context.Context) error { return nil }

// BenchmarkCall is the flow's own share of a call that nothing stands in front of.
func BenchmarkCall(b *testing.B) {
	n := &nothing{profile: bridge.Profile{Name: "nic", Kind: "nic", Space: "irp", Zone: time.UTC, Credential: "digest", CallTimeout: 30 * time.Second, LookupTimeout: 10 * time.Second,
		Rules: bridge.Rules{Document: "irn", Remarks: "max=100", Normal: strings.ToLower}}}
	t := &flow.Terms{CarryOutWithin: time.Hour, Route: func(string) (bridge.Upstream, bool) { return n, true }}
	s := flow.New(n, n, n, t)
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		a := s.Cancel(t, &bridge.Request{Ref: "r", Caller: "erp", Taxpayer: "29AAFCD5862R000", IRN: strings.Repeat("1e6a", 16), Reason: "1", Remarks: "Wrong entry",
			Received: now, Until: now.Add(50 * time.Second), Context: context.Background(), SOAPIn: make([]byte, 600), Render: func(bridge.Answer) []byte { return nil }})
		if a.Code() != 200 {
			b.Fatal(a)
		}
	}
	b.ReportMetric(30, "budget-µs/op")
	b.ReportMetric(45, "budget-allocs/op")
}
