package soap_test

import (
	"fmt"
	"strings"

	"einvoice-bridge/bridge/soap"
)

// One call: bytes in, operation, bytes out.
func Example() {
	contract := soap.DefaultContract()
	decoder := soap.NewDecoder(contract)
	header := soap.Header{ContentType: "text/xml; charset=utf-8", SOAPAction: `"urn:server#eInvoiceCancel"`}
	body := []byte(`<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
		<eInvoiceCancel xmlns="urn:server">
			<access_token>b29cee2156282be62f51b24fe8b3f07f01c9bff1</access_token>
			<irn>1e6a</irn> <cancel_reason>1 </cancel_reason>
		</eInvoiceCancel></s:Body></s:Envelope>`)

	req, err := decoder.Decode(header, body)
	if err != nil {
		fault := soap.AsFault(err)
		fmt.Println(contract.FaultStatus(fault.Version, fault), string(contract.EncodeFault(fault.Version, fault.Addressing, fault, "7f3a")))
		return
	}
	fmt.Println(req.Operation, req.Text(soap.SlotIRN), req.Text(soap.SlotCancelReason), req.Param(soap.SlotCancelRemarks).State == soap.Absent)

	reply := contract.EncodeCancel(req.Version, req.Addressing, soap.CancelReply{
		IRN: req.Text(soap.SlotIRN), CancelDate: "2021-06-01 20:30:00",
	})
	fmt.Println(contract.ContentType(req.Version))
	_, parts, _ := strings.Cut(string(reply), `xmlns:ns1="urn:server">`)
	fmt.Println(parts)
	// Output:
	// eInvoiceCancel 1e6a 1 true
	// text/xml; charset=utf-8
	// <Irn>1e6a</Irn><CancelDate>2021-06-01 20:30:00</CancelDate><error>0</error><errorMessage></errorMessage><status>Success</status><code>200</code></ns1:eInvoiceCancelResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>
}
