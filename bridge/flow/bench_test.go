package flow_test

import (
	"testing"

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
