package soap_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"einvoice-bridge/bridge/soap"
)

func TestDefaultContractIsSound(t *testing.T) {
	if errs := soap.DefaultContract().Check(); len(errs) > 0 {
		t.Error(errs)
	}
}

// Check names every problem, in the words of the configuration file.
func TestContractCheck(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(c *soap.Contract)
		want   []string
	}{
		{"no namespace", func(c *soap.Contract) { c.Namespace = "" }, []string{"contract.namespace must not be empty"}},
		{"blank in namespace", func(c *soap.Contract) { c.Namespace = "urn:a b" }, []string{`contract namespace "urn:a b" holds white space`}},
		{"bad element name", func(c *soap.Contract) { c.Cancel.Response[0].Name = "1rn" },
			[]string{`contract.operations.eInvoiceCancel.response[0].name: "1rn" is not an XML name without colon`}},
		{"prefixed element name", func(c *soap.Contract) { c.Cancel.Request[2].Name = "urn:irn" },
			[]string{`contract.operations.eInvoiceCancel.request[2].name: "urn:irn" is not an XML name without colon`}},
		{"a name twice", func(c *soap.Contract) { c.Cancel.Response[5].Name = "status" },
			[]string{`contract.operations.eInvoiceCancel.response[5].name: "status" is used twice`}},
		{"a slot twice", func(c *soap.Contract) { c.Cancel.Response[5].Slot = soap.SlotStatus },
			[]string{`contract.operations.eInvoiceCancel.response[5].slot: "status" is used twice`}},
		{"an answer that doesn't tell a success", func(c *soap.Contract) { c.Cancel.Response = c.Cancel.Response[:2] },
			[]string{"contract.operations.eInvoiceCancel.response: no element for error_flag", "contract.operations.eInvoiceCancel.response: no element for error_message",
				"contract.operations.eInvoiceCancel.response: no element for status", "contract.operations.eInvoiceCancel.response: no element for code"}},
		{"an answer without message and date", func(c *soap.Contract) { c.Cancel.Response = c.Cancel.Response[4:] }, nil},
		{"an unknown slot", func(c *soap.Contract) { c.Token.Request[4].Slot = "scope" },
			[]string{`contract.operations.access_new_token.request[4].slot: "scope" is none of username, password, client_id, client_secret, grant_type`,
				"contract.operations.access_new_token.request: no element for grant_type"}},
		{"a constant in a request", func(c *soap.Contract) {
			c.Cancel.Request = append(c.Cancel.Request, soap.Part{Slot: soap.SlotConst, Name: "x"})
		},
			[]string{`contract.operations.eInvoiceCancel.request[5].slot: "const" is none of access_token, user_gstin, irn, cancel_reason, cancel_remarks`}},
		{"bad wrapper", func(c *soap.Contract) { c.Cancel.ResponseWrapper = "re turn" },
			[]string{`contract.operations.eInvoiceCancel: "re turn" is not an XML name without colon`}},
		{"an alias of nothing", func(c *soap.Contract) { c.Cancel.Aliases = map[string]string{"Token": "token"} },
			[]string{`contract.operations.eInvoiceCancel.aliases.Token: "token" is no slot of the request`}},
		{"an alias that is a name", func(c *soap.Contract) { c.Cancel.Aliases = map[string]string{"irn": soap.SlotAccessToken} },
			[]string{"contract.operations.eInvoiceCancel.aliases.irn: is the name of irn already"}},
		{"one name for both operations", func(c *soap.Contract) { c.Token.Name = c.Cancel.Name }, []string{`contract.operations: both are called "eInvoiceCancel"`}},
		{"an empty code", func(c *soap.Contract) { c.Values.FailedCode = "" }, []string{`contract.values.failed_code is "", must be one word`}},
		{"a code of two words", func(c *soap.Contract) { c.Values.AuthCode = "not allowed" }, []string{`contract.values.auth_code is "not allowed", must be one word`}},
		{"an empty status", func(c *soap.Contract) { c.Values.FailedStatus = " " }, []string{"contract.values.failed_status must not be empty"}},
		{"success and failure alike", func(c *soap.Contract) { c.Values.FailedCode = "200" },
			[]string{"contract.values: success and failure must differ in status and code"}},
		{"a charset we don't write", func(c *soap.Contract) { c.Mimic.ResponseCharset = "utf-16" },
			[]string{`mimic.response_charset is "utf-16", must be utf-8 or iso-8859-1`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := soap.DefaultContract()
			tc.damage(c)
			var got []string
			for _, err := range c.Check() {
				got = append(got, err.Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func savedWSDL(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../fixtures/soap/wsdl/" + name + ".wsdl")
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
func TestContractFromWSDL(t *testing.T) {
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
			c, err := soap.ContractFromWSDL(savedWSDL(t, tc.name))
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
	if diff := cmp.Diff(sent, values(req)); diff != "" || len(req.Notes) > 0 {
		t.Errorf("request (-sent +read): %s %v", diff, req.Notes)
	}
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
func TestContractFromWSDLSaysWhatIsMissing(t *testing.T) {
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
			_, err := soap.ContractFromWSDL(savedWSDL(t, name))
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

func TestContractOperation(t *testing.T) {
	c := soap.DefaultContract()
	if c.Operation("eInvoiceCancel") != &c.Cancel || c.Operation("access_new_token") != &c.Token || c.Operation("eInvoiceGet") != nil {
		t.Error("operations are not found by their names")
	}
}

// Letter case is forgiven only where it leaves no doubt: here Irn could be either parameter, and stands in neither's place.
func TestAmbiguousLetterCase(t *testing.T) {
	c := soap.DefaultContract()
	c.Cancel.Aliases = map[string]string{"IRN": soap.SlotCancelRemarks}
	if errs := c.Check(); len(errs) > 0 {
		t.Fatal(errs)
	}
	doc := strings.NewReplacer("<irn>", "<cancel_reason>1</cancel_reason><Irn>", "</irn>", "</Irn>",
		"<cancel_reason>1</cancel_reason>", "").Replace(seedEnvelope)
	req, err := soap.NewDecoder(c).Decode(seedHeader, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if req.Param(soap.SlotIRN).State != soap.Absent || req.Text(soap.SlotCancelRemarks) != "Wrong entry" || !slices.Equal(req.Unplaced, []string{"Irn"}) {
		t.Errorf("read %v with %q left over", req.Params, req.Unplaced)
	}
}

// A contract made without our WSDL has a namespace of its own: .NET's tempuri.org. It is answered in that one, as the
// original does, or WCF reads nulls. One that a saved WSDL gives to requests alone is answered in that WSDL's own.
func TestAnyNamespace(t *testing.T) {
	c := soap.DefaultContract()
	answered := func(namespace string) string {
		doc := strings.Replace(seedEnvelope, `"urn:server"`, `"`+namespace+`"`, 1)
		req, err := soap.NewDecoder(c).Decode(seedHeader, []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		reply := success
		reply.Namespace = req.Namespace
		_, after, _ := strings.Cut(string(c.EncodeCancel(req.Version, nil, reply)), `xmlns:ns1="`)
		answer, _, _ := strings.Cut(after, `"`)
		return answer
	}
	for request, want := range map[string]string{
		"urn:server": "urn:server", "http://tempuri.org/": "http://tempuri.org/", "urn:x?a=1&amp;b=2": "urn:x?a=1&amp;b=2", " urn:server ": "urn:server",
	} {
		if got := answered(request); got != want {
			t.Errorf("a request in %q is answered in %q, want %q", request, got, want)
		}
	}
	c.Cancel.Namespace = "http://soap.example/server"
	if got := answered("http://soap.example/server"); got != "urn:server" {
		t.Errorf("the saved WSDL's request namespace is answered in %q", got)
	}
}
