package rehearsal

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/soap"
)

// Comparison is the bridge's answers held to the provider's, call by call.
type Comparison struct {
	Answers, Equal int
	Differences    []Difference
	// Successes and Refusals are what the answers to cancellations were.
	Successes, Refusals int
	// Faults have a form of the bridge's own, which callers read by the names in it; what differs is told apart.
	Faults, EqualFaults int
	FaultDifferences    []Difference
}

// Difference is one thing that is not the provider's, with one call as a sample: both answers, masked.
type Difference struct {
	What, Provider, Ours string
	Calls                int
	Ref                  string
	ProviderSays, WeSay  string
}

// Replay answers all recorded calls under a contract, with what the provider said in them.
func (r *Report) Replay(all Source, c *soap.Contract) (*Comparison, error) {
	done := &Comparison{}
	answers, faults := map[Difference]*Difference{}, map[Difference]*Difference{}
	err := all(func(call bridge.Rehearsed) error {
		if !call.Ours || call.Answer.Body == "" || c.Operation(call.Operation) == nil {
			return nil
		}
		theirs, err := formOf(call)
		if err != nil {
			return nil // Look has told
		}
		status, contentType, says := r.answer(call, theirs, c)
		ours, err := soap.ReadForm(soap.Header{ContentType: contentType}, says, false)
		if err != nil {
			return fmt.Errorf("reading our own answer: %w", err)
		}
		found := differences(theirs, ours)
		differ(&found, "HTTP status", fmt.Sprint(call.Answer.Status), fmt.Sprint(status))
		differ(&found, "Content-Type", media(call.Answer.Header("Content-Type")), media(contentType))
		found = append(found, r.wordsDiffer(call.Operation, c, theirs, ours)...)
		into := answers
		if theirs.Fault {
			into = faults
		}
		for _, d := range found {
			if into[d] == nil {
				known := d
				known.Ref, known.ProviderSays, known.WeSay = call.Ref, call.Answer.Body, string(says)
				into[d] = &known
			}
			into[d].Calls++
		}
		switch {
		case theirs.Fault:
			done.Faults++
		default:
			done.Answers++
			done.count(r, call, theirs)
		}
		switch {
		case len(found) > 0:
		case theirs.Fault:
			done.EqualFaults++
		default:
			done.Equal++
		}
		return nil
	})
	done.Differences, done.FaultDifferences = ordered(answers), ordered(faults)
	return done, err
}

// count tells an answer to a cancellation for a success or a refusal.
func (c *Comparison) count(r *Report, call bridge.Rehearsed, theirs *soap.Form) {
	if call.Operation != r.base.Cancel.Name {
		return
	}
	said := r.said(call.Operation, theirs)
	if irn, named := said[soap.SlotIRN]; r.failed(said) || named && irn == "" {
		c.Refusals++
	} else {
		c.Successes++
	}
}

func ordered(all map[Difference]*Difference) (list []Difference) {
	for _, d := range all {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.What, b.What), cmp.Compare(a.Provider, b.Provider))
	})
	return list
}

// answer is what the bridge would say, if what the provider said had come of the call.
func (r *Report) answer(call bridge.Rehearsed, theirs *soap.Form, c *soap.Contract) (status int, contentType string, says []byte) {
	version, space := theirs.Version, theirs.Namespace
	var addressing *soap.Addressing
	if req := requestOf(call, r.decoder); req != nil {
		version, space, addressing = req.Version, req.Namespace, req.Addressing
	}
	contentType = c.ContentType(version)
	if theirs.Fault {
		f := soap.ServerFault("Internal error")
		if faultOfCaller(theirs) {
			f = soap.ClientFault("The request is not understood")
		}
		return c.FaultStatus(version, f), contentType, c.EncodeFault(version, addressing, f, call.Ref)
	}
	said := r.said(call.Operation, theirs)
	if call.Operation == r.base.Token.Name {
		return http.StatusOK, contentType, c.EncodeToken(version, addressing, soap.TokenReply{
			Namespace: space, AccessToken: said[soap.SlotAccessToken], TokenType: said[soap.SlotTokenType],
			ErrorDescription: said[soap.SlotErrorDescription],
		})
	}
	return http.StatusOK, contentType, c.EncodeCancel(version, addressing, soap.CancelReply{
		Namespace: space, IRN: said[soap.SlotIRN], CancelDate: said[soap.SlotCancelDate], Message: said[soap.SlotErrorMessage],
		Failed: r.failed(said),
	})
}

func faultOfCaller(f *soap.Form) bool {
	return len(f.Parts) > 0 && (strings.HasSuffix(f.Parts[0].Text, "Client") || strings.HasSuffix(f.Parts[0].Text, "Sender"))
}

// said is what stands in the provider's answer, by its meaning.
func (r *Report) said(operation string, theirs *soap.Form) map[string]string {
	values := map[string]string{}
	for _, part := range r.contract.Operation(operation).Response {
		for _, p := range theirs.Parts {
			if p.Name == part.Name && part.Slot != soap.SlotConst {
				values[part.Slot] = p.Text
			}
		}
	}
	return values
}

// failed tells a refusal by the words that the provider has for a success.
func (r *Report) failed(said map[string]string) bool {
	v := r.contract.Values
	for slot, good := range map[string]string{soap.SlotCode: v.SuccessCode, soap.SlotStatus: v.SuccessStatus, soap.SlotErrorFlag: v.SuccessFlag} {
		if text, ok := said[slot]; ok && text != good {
			return true
		}
	}
	return false
}

func differ(found *[]Difference, what, theirs, ours string) {
	if theirs != ours {
		*found = append(*found, Difference{What: what, Provider: theirs, Ours: ours})
	}
}

// media is the type in a Content-Type.
func media(contentType string) string {
	name, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(name))
}

// wordsDiffer compares the words that programs look at.
func (r *Report) wordsDiffer(operation string, c *soap.Contract, theirs, ours *soap.Form) (found []Difference) {
	if theirs.Fault || operation != r.base.Cancel.Name {
		return nil
	}
	for i, part := range c.Cancel.Response {
		switch part.Slot {
		case soap.SlotStatus, soap.SlotCode, soap.SlotErrorFlag:
			theirs, ok := r.said(operation, theirs)[part.Slot]
			if ok && i < len(ours.Parts) && theirs != ours.Parts[i].Text {
				found = append(found, Difference{What: "the word for " + part.Slot, Provider: theirs, Ours: ours.Parts[i].Text})
			}
		}
	}
	return found
}

// differences is what two answers look different in.
func differences(theirs, ours *soap.Form) (found []Difference) {
	differ := func(what, a, b string) { differ(&found, what, a, b) }
	differ("SOAP version", theirs.Version.String(), ours.Version.String())
	differ("charset in Content-Type", theirs.Charset, ours.Charset)
	differ("XML declaration", theirs.Declaration, ours.Declaration)
	differ("header blocks", fmt.Sprint(theirs.Blocks), fmt.Sprint(ours.Blocks))
	differ("encodingStyle", theirs.EncodingStyle, ours.EncodingStyle)
	differ("element in Body", theirs.Element, ours.Element)
	differ("its namespace", theirs.Namespace, ours.Namespace)
	differ("element around the parts", theirs.Wrapper, ours.Wrapper)
	differ("number of parts", fmt.Sprint(len(theirs.Parts)), fmt.Sprint(len(ours.Parts)))
	for i := range min(len(theirs.Parts), len(ours.Parts)) {
		a, b := theirs.Parts[i], ours.Parts[i]
		n := fmt.Sprintf("part %d", i+1)
		differ(n, a.Name, b.Name)
		differ(n+", namespace", a.Namespace, b.Namespace)
		differ(n+", xsi:type", a.Type, b.Type)
		differ(n+", nil", fmt.Sprint(a.Nil), fmt.Sprint(b.Nil))
	}
	return found
}

// Derived is Replay under the derived contract itself, without the way through a configuration.
func (r *Report) Derived(all Source) (*Comparison, error) { return r.Replay(all, r.contract) }
