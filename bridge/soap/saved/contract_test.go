package saved_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/soap"
	"einvoice-bridge/bridge/soap/saved"
)

func savedWSDL(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../../fixtures/soap/wsdl/" + name + ".wsdl")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// outline writes a message as "slot=Name …".
func outline(parts []soap.Part) string {
	var s []string
	for _, p := range parts {
		switch {
		case p.Slot == soap.SlotConst:
			s = append(s, fmt.Sprintf("(%q)=%s", p.Const, p.Name))
		case p.Slot == p.Name:
			s = append(s, p.Name)
		default:
			s = append(s, p.Slot+"="+p.Name)
		}
	}
	return strings.Join(s, " ")
}

// A customer's saved WSDL decides names, order and namespace.
func TestContract(t *testing.T) {
	const request = "access_token user_gstin irn cancel_reason cancel_remarks"
	const response = "irn=Irn cancel_date=CancelDate error_flag=error error_message=errorMessage status code"
	for _, tc := range []struct {
		name, says string
		want       map[string]string
	}{
		{"nusoap-rpc", "rpc/encoded in ISO-8859-1 with another spelling and two parts more, as a NuSOAP server publishes it", map[string]string{
			"action": "urn:server#eInvoiceCancelServer", "description": "Annuler la facture électronique", "request": request,
			"response":       `irn cancel_date=cancelDate error_flag=isError error_message=errorDetails ("")=InfoDtls ("0")=InfoCount status=Status code=Code`,
			"token action":   "urn:server#access_new_tokenServer",
			"token response": `access_token ("")=error expires_in token_type error_description`,
		}},
		{"document-wrapped", "document/literal wrapped, answers as xsd:all; no token operation", map[string]string{
			"action": "urn:server/eInvoiceCancel", "request": request, "response": response,
		}},
		{"utf-16", "the same with xsd:sequence, in UTF-16", map[string]string{
			"action": "urn:server/eInvoiceCancel", "request": request, "response": response,
		}},
		{"asmx-result", "ASMX: everything qualified, a result element of a named type, a parameter that means nothing to us", map[string]string{
			"namespace": "http://tempuri.org/", "action": "http://tempuri.org//eInvoiceCancel", "qualified": "true", "wrapper": "eInvoiceCancelResult",
			"request":  "access_token=accessToken user_gstin=GSTIN irn=IRN cancel_reason=CancelReason cancel_remarks=CancelRemarks",
			"response": response,
		}},
		{"other-elements", "wrappers that are not called like the operation, parts by reference", map[string]string{
			"action": "urn:server/eInvoiceCancel", "name": "CancelRequest", "response name": "CancelReply", "qualified": "true",
			"request": request, "response": response,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := saved.Contract(savedWSDL(t, tc.name))
			if err != nil {
				t.Fatalf("%s: %v", tc.says, err)
			}
			if diff := cmp.Diff(tc.want, differences(c)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.says, diff)
			}
			checkUsable(t, c)
		})
	}
}

// differences outlines a contract, leaving out what is as by default.
func differences(c *soap.Contract) map[string]string {
	name := c.Cancel.ResponseName
	if name == "eInvoiceCancelResponse" {
		name = ""
	}
	got := map[string]string{
		"namespace": c.Namespace, "qualified": fmt.Sprint(c.Qualified), "name": c.Cancel.Name, "response name": name,
		"action": c.Cancel.SOAPAction, "description": c.Cancel.Description, "wrapper": c.Cancel.ResponseWrapper,
		"request": outline(c.Cancel.Request), "response": outline(c.Cancel.Response),
		"token action": c.Token.SOAPAction, "token response": outline(c.Token.Response),
	}
	for key, usual := range map[string]string{
		"namespace": "urn:server", "qualified": "false", "name": "eInvoiceCancel", "response name": "", "description": "Cancel E-Invoice",
		"wrapper": "", "token action": "urn:server#access_new_token", "token response": "access_token expires_in token_type error_description",
	} {
		if got[key] == usual {
			delete(got, key)
		}
	}
	return got
}

// checkUsable sends a call and an answer through a derived contract.
func checkUsable(t *testing.T, c *soap.Contract) {
	t.Helper()
	d := soap.NewDecoder(c)
	sent := map[string]string{"access_token": "a", "user_gstin": "b", "irn": "c", "cancel_reason": "1", "cancel_remarks": "d"}
	req, err := d.Decode(c.RequestHeader(soap.SOAP11, &c.Cancel), c.EncodeRequest(soap.SOAP11, &c.Cancel, sent))
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]string{}
	for _, p := range req.Params {
		read[p.Slot] = p.Text
	}
	if diff := cmp.Diff(sent, read); diff != "" || len(req.Notes) > 0 {
		t.Errorf("request (-sent +read): %s %v", diff, req.Notes)
	}
	success := soap.CancelReply{IRN: "1e6a", CancelDate: "2021-06-01 20:30:00"}
	reply, err := d.DecodeReply(soap.Header{}, c.EncodeCancel(soap.SOAP11, nil, success))
	if err != nil {
		t.Fatal(err)
	}
	want := success
	want.Code = "200"
	if reply.Cancel != want {
		t.Errorf("answer came back as %+v", reply.Cancel)
	}
}

// A WSDL that doesn't say enough stops the start, with everything that is missing.
func TestContractSaysWhatIsMissing(t *testing.T) {
	for name, want := range map[string][]string{
		"bad-missing-parts": {
			"eInvoiceCancel has no element for irn among: access_token, user_gstin",
			"eInvoiceCancel has no element for cancel_reason among: access_token, user_gstin",
			"eInvoiceCancelResponse has no element for cancel_date among: Irn, status, remarks",
			"eInvoiceCancelResponse has no element for code among: Irn, status, remarks",
		},
		"bad-import":         {"element eInvoiceCancel of operation eInvoiceCancel is not in this file; imports are not followed"},
		"bad-date-type":      {"eInvoiceCancelResponse/CancelDate has type xsd:dateTime, but the answer's date is written YYYY-MM-DD HH:MM:SS"},
		"bad-mixed-form":     {"the answers mix parts with and without namespace"},
		"bad-other-service":  {"there is no operation eInvoiceCancel"},
		"bad-nested-request": {"eInvoiceCancel has no element for irn among: request"},
		"bad-not-wsdl":       {"read the saved WSDL: its root is not wsdl:definitions"},
		"bad-not-xml":        {"read the saved WSDL: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := saved.Contract(savedWSDL(t, name))
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%v\nlacks: %s", err, w)
				}
			}
		})
	}
}
