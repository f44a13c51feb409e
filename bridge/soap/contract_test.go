package soap_test

import (
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
