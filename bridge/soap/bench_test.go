package soap_test

import (
	"testing"

	"einvoice-bridge/bridge/soap"
)

// seedEnvelope is the published sample call (Masters India, Cancel E-invoice SOAP).
const seedEnvelope = `<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:urn="urn:server">   <soapenv:Header/>   <soapenv:Body>      <urn:eInvoiceCancel>         <access_token>b29cee2156282be62f51b24fe8b3f07f01c9bff1</access_token>         <user_gstin>09AAAPG7885R002</user_gstin>         <irn>1e6a362ea4c893cf0d6a8254c2d7862778fa19dcc091304ac220a13412e1ccae</irn>         <cancel_reason>1</cancel_reason>         <cancel_remarks>Wrong entry</cancel_remarks>      </urn:eInvoiceCancel>   </soapenv:Body></soapenv:Envelope>`

var seedHeader = soap.Header{ContentType: "text/xml; charset=utf-8", SOAPAction: `"urn:server#eInvoiceCancel"`}

func BenchmarkDecodeEncode(b *testing.B) {
	c := soap.DefaultContract()
	d := soap.NewDecoder(c)
	body := []byte(seedEnvelope)
	b.ReportAllocs()
	for b.Loop() {
		req, err := d.Decode(seedHeader, body)
		if err != nil {
			b.Fatal(err)
		}
		c.EncodeCancel(req.Version, req.Addressing, soap.CancelReply{IRN: req.Text(soap.SlotIRN), CancelDate: "2021-06-01 20:30:00"})
	}
	b.ReportMetric(37, "budget-µs/op")
	b.ReportMetric(14, "budget-allocs/op")
}

func BenchmarkEncode(b *testing.B) {
	c := soap.DefaultContract()
	b.ReportAllocs()
	for b.Loop() {
		c.EncodeCancel(soap.SOAP11, nil, success)
	}
	b.ReportMetric(3, "budget-µs/op")
	b.ReportMetric(3, "budget-allocs/op")
}

func BenchmarkMasked(b *testing.B) {
	req, err := soap.NewDecoder(soap.DefaultContract()).Decode(seedHeader, []byte(seedEnvelope))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		req.Masked(8 << 10)
	}
	b.ReportMetric(1, "budget-µs/op")
	b.ReportMetric(3, "budget-allocs/op")
}
