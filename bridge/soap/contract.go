package soap

import "slices"

// Contract is what goes over the wire by name: namespace, elements, their order, and the fixed words in them. The
// provider's own answers are known from documentation that lost its tags, so all of it is configuration;
// DefaultContract is the documented reconstruction and package saved takes a customer's saved WSDL.
//
// A Contract must not change once it is in use.
type Contract struct {
	// Namespace of the operation elements. A request in another one, which is not its Operation's own, is answered in that.
	Namespace string
	Cancel    Operation
	Token     Operation
	Values    Values
	Mimic     Mimic
	Faults    FaultStyle
	// Qualified puts the parts of answers into Namespace too. Off: qualified children are null in .NET, JAX-WS and
	// Axis proxies, unless the WSDL they were made from says elementFormDefault="qualified".
	Qualified bool
}

// Operation is one request and its answer.
type Operation struct {
	// Name is the request's element, ResponseName the answer's; "" stands for Name + "Response".
	Name         string
	ResponseName string
	// Namespace of the request's element where a saved WSDL gives it another than the answer's; "" for the contract's.
	Namespace string
	// SOAPAction is what the WSDL tells callers to send. It is never needed to dispatch.
	SOAPAction string
	// Description is the text that the provider writes as encodingStyle (Mimic.EncodingStyle).
	Description string
	// EncodingStyle is written as such in its answers instead; "" leaves it to Mimic.
	EncodingStyle string
	Request       []Part
	// Aliases are further spellings of request elements: element name to slot.
	Aliases map[string]string
	// ResponseWrapper is an element around all parts of the answer, such as "return"; "" for none.
	ResponseWrapper string
	Response        []Part
}

// Part is one element of a message: Slot is its meaning, Name its tag.
type Part struct {
	Slot, Name string
	// Const is the fixed text of a SlotConst part, often empty.
	Const string
	// Type is the XSD type that answers carry as xsi:type, for callers whose proxies were made from an rpc/encoded WSDL; "" for none.
	Type string
}

// Slots of the requests.
const (
	SlotAccessToken   = "access_token"
	SlotUserGSTIN     = "user_gstin"
	SlotIRN           = "irn"
	SlotCancelReason  = "cancel_reason"
	SlotCancelRemarks = "cancel_remarks"
	SlotUsername      = "username"
	SlotPassword      = "password"
	SlotClientID      = "client_id"
	SlotClientSecret  = "client_secret"
	SlotGrantType     = "grant_type"
)

// Slots of the answers, beside SlotIRN and SlotAccessToken.
const (
	SlotCancelDate       = "cancel_date"
	SlotErrorFlag        = "error_flag"
	SlotErrorMessage     = "error_message"
	SlotStatus           = "status"
	SlotCode             = "code"
	SlotExpiresIn        = "expires_in"
	SlotTokenType        = "token_type"
	SlotErrorDescription = "error_description"
	SlotConst            = "const"
)

// Values are the fixed words of the cancel answer.
type Values struct {
	SuccessStatus, FailedStatus string
	SuccessCode, FailedCode     string
	SuccessFlag, FailedFlag     string
	// AuthCode and the texts answer a bad access_token or a taxpayer that the caller may not act for.
	AuthCode                             string
	TokenExpired, TokenInvalid, NotYours string
}

// Mimic switches on oddities of the provider's own server, for callers that compare bytes.
type Mimic struct {
	// EncodingStyle writes the operation's description as encodingStyle on Envelope.
	EncodingStyle bool
	// ResponseCharset is "" (utf-8) or "iso-8859-1"; answers are pure ASCII under either name.
	ResponseCharset string
	// NoDeclaration leaves the XML declaration out.
	NoDeclaration bool
}

// FaultStyle chooses between forms of faults.
type FaultStyle struct {
	// TypedDetail puts a bridgeFault element into detail, which SAP's fault mapping needs and Mono's WCF client can't read.
	TypedDetail bool
	// SpecStatus sends SOAP 1.2 Sender faults with HTTP 400 instead of 500.
	SpecStatus bool
}

// DefaultContract returns the documented service: urn:server, rpc/literal on the wire, six parts in the cancel answer.
func DefaultContract() *Contract {
	return &Contract{
		Namespace: "urn:server",
		Cancel: Operation{
			Name: "eInvoiceCancel", SOAPAction: "urn:server#eInvoiceCancel", Description: "Cancel E-Invoice",
			Request: named(SlotAccessToken, SlotUserGSTIN, SlotIRN, SlotCancelReason, SlotCancelRemarks),
			Response: []Part{
				{Slot: SlotIRN, Name: "Irn"}, {Slot: SlotCancelDate, Name: "CancelDate"},
				{Slot: SlotErrorFlag, Name: "error"}, {Slot: SlotErrorMessage, Name: "errorMessage"},
				{Slot: SlotStatus, Name: "status"}, {Slot: SlotCode, Name: "code"},
			},
		},
		Token: Operation{
			Name: "access_new_token", SOAPAction: "urn:server#access_new_token", Description: "Get Access token",
			Request: named(SlotUsername, SlotPassword, SlotClientID, SlotClientSecret, SlotGrantType),
			Aliases: map[string]string{
				"userName": SlotUsername, "Username": SlotUsername, "user_name": SlotUsername,
				"passwd": SlotPassword, "Password": SlotPassword,
			},
			Response: named(SlotAccessToken, SlotExpiresIn, SlotTokenType, SlotErrorDescription),
		},
		Values: Values{
			SuccessStatus: "Success", FailedStatus: "Failed",
			SuccessCode: "200", FailedCode: "204",
			SuccessFlag: "0", FailedFlag: "1",
			AuthCode:     "204",
			TokenExpired: "The access token provided has expired",
			TokenInvalid: "The access token provided is invalid",
			NotYours:     "The access token provided is not valid for this user_gstin",
		},
	}
}

// responseName returns the answer's element.
func (op *Operation) responseName() string {
	if op.ResponseName != "" {
		return op.ResponseName
	}
	return op.Name + "Response"
}

// named returns parts whose element has the name of its slot.
func named(slots ...string) []Part {
	parts := make([]Part, len(slots))
	for i, s := range slots {
		parts[i] = Part{Slot: s, Name: s}
	}
	return parts
}

// Operation returns the operation whose request element has this name, or nil.
func (c *Contract) Operation(name string) *Operation {
	switch name {
	case c.Cancel.Name:
		return &c.Cancel
	case c.Token.Name:
		return &c.Token
	}
	return nil
}

// AnswersAs tells whether answers under two contracts look the same.
func (c *Contract) AnswersAs(other *Contract) bool {
	same := func(a, b *Operation) bool {
		return a.Name == b.Name && a.responseName() == b.responseName() && a.ResponseWrapper == b.ResponseWrapper &&
			a.Namespace == b.Namespace && a.EncodingStyle == b.EncodingStyle && slices.Equal(a.Response, b.Response)
	}
	return c.Namespace == other.Namespace && c.Qualified == other.Qualified && c.Values == other.Values && c.Mimic == other.Mimic &&
		same(&c.Cancel, &other.Cancel) && same(&c.Token, &other.Token)
}
