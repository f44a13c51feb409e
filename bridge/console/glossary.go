package console

import (
	"net/http"
	"strings"

	"einvoice-bridge/bridge"
)

// Term is a word that operators meet. Name is what exports, metrics and flags have for it; empty where they have none.
type Term struct{ Name, Word, Means string }

// Words are terms of one kind.
type Words struct {
	Title string
	Terms []Term
}

// Glossary has each word once: pages, commands and the guide to words take it from here.
var Glossary = []Words{states, outcomes, rejections, healths, whoseWords, deedWords}

var states = Words{"Where a cancellation stands", []Term{
	{"accepted", "waiting", "Written down, and nothing was sent yet: it waits for its turn at the authority. It can be withdrawn."},
	{"sending", "being sent", "Its cancel is on the way right now."},
	{"open", "unconfirmed", "It was sent, and the authority has not said yet what became of it. The bridge goes on looking it up; only proof or an operator's word ends that."},
	{"final", "ended", "It has an outcome."},
}}

var outcomes = Words{"How it ended, and what a call was told", []Term{
	{"cancelled", "cancelled", "The authority has it as cancelled. Nothing turns that into something else."},
	{"refused", "refused", "The authority said no, and the document was not cancelled by this."},
	{"", "refused by a check", "A field breaks a rule of the taxpayer's upstream. Nothing was sent."},
	{"already_cancelled", "already cancelled", "The authority has it as cancelled; by whom, the record decides."},
	{"not_applied", "not carried out", "Certainly not carried out: nothing left, or it was stopped at the gate. The caller may send it again."},
	{"unknown", "not known", "It may have been carried out. Sending the same call again is safe."},
	{"unclear", "unclear", "The authority answered in words that are in no list; it is looked up before anybody is told."},
	{"misconfigured", "misconfigured", "Credentials, address or rights of the bridge are wrong. Nothing is sent for a while, so that no account is locked."},
	{"none", "trouble or waiting", "Of a call: it was told that the bridge is busy, or that it waits for its turn. Of a cancellation: no outcome yet."},
}}

var rejections = Words{"Why a call was turned away before it was a cancellation", []Term{
	{"token", "wrong token", "Nothing in the call makes a caller known: no token, an unknown or revoked one, a wrong password, or an address or certificate that does not fit."},
	{"expired", "expired token", "The token was good until it expired."},
	{"taxpayer", "taxpayer of others", "The caller is known, and may not act for this user_gstin."},
	{"unknown", "unknown taxpayer", "The caller may act for all, and nobody has configured this user_gstin."},
	{"soap", "not understood", "No envelope, no operation that is known, or parameters that can't be placed."},
	{"login", "log-in refused", "access_new_token with a wrong name, password, client id or secret."},
	{"http", "wrong address or HTTP", "Posted to another path, too large, too slow, or not HTTP as it must be."},
}}

var healths = Words{"How an upstream does", []Term{
	{"", "healthy", "What was sent or asked last was answered."},
	{"", "not tried yet", "Nothing was sent or asked since the start."},
	{"", "last try failed", "What was sent or asked last came to nothing clear. The next one decides."},
	{"", "trying again", "It failed for a while; one call is let through to see."},
	{"", "breaker open", "It can't be reached or fails, and nothing is sent there for a moment. Callers are told to come back."},
	{"", "breaker open for some", "The same, at some of its hosts."},
	{"", "logins held back", "There is no session, and the authority allows no login for a while."},
	{"", "asked us to wait", "The authority has said until when nothing more is to be sent."},
	{"", "credentials refused", "The authority refuses what the bridge shows. Put the configuration right, or the account."},
}}

var whoseWords = Words{"Whose word it is", []Term{
	{"told_otherwise", "the ERP was told otherwise", "The truth differs from what a caller was told last, so that its books say the opposite. A repeat gets the truth."},
	{"", "an operator's word", "A person recorded what the authority's portal shows. It is told to callers, and shown as that person's, never as the authority's."},
	{"ref", "reference", "Names one call. It stands in each Fault and refusal as [ref …] and in the header X-Request-Id, and is found by search."},
	{"", "entry", "The record of one taxpayer's wish to cancel one document, with all calls for it."},
}}

var deedWords = Words{"What operators do", []Term{
	{"resolve", "recorded what the portal shows", "An entry ended by a person's word."},
	{"withdraw", "withdrew", "What waited for its turn is not sent."},
	{"issue", "issued a token", "A new access token for a caller."},
	{"revoke", "revoked a token", "It lets nobody in any more, within 5 s."},
	{"reload", "reloaded", "The changed configuration file was taken up, or was found wrong."},
	{"test_alarm", "sent a test alarm", "To see that alarms reach somebody."},
}}

// word is what pages say for a name.
func (w Words) word(name string) string {
	for _, t := range w.Terms {
		if t.Name == name {
			return t.Word
		}
	}
	return name
}

// ends are choices of a form's field: any, and all words.
func (w Words) ends() []end {
	all := []end{{"", "any"}}
	for _, t := range w.Terms {
		all = append(all, end{t.Name, t.Word})
	}
	return all
}

// meaning explains a word, for whoever points at it.
func meaning(word string) string {
	if _, after, ok := strings.Cut(word, ", "); ok { // an outcome, an operator's word
		word = after
	}
	for _, w := range Glossary {
		for _, t := range w.Terms {
			if t.Word == word {
				return t.Means
			}
		}
	}
	return ""
}

func classText(c bridge.Class) string { return outcomes.word(c.String()) }

func stateText(s bridge.State) string { return states.word(string(s)) }

// RejectionText is the kind of a rejected call.
func RejectionText(kind string) string { return rejections.word(kind) }

// OutcomeText is an outcome by its name, for commands that take names.
func OutcomeText(name string) string { return outcomes.word(name) }

// Standing is where an entry stands, by whose word if not the authority's.
func Standing(e bridge.Entry) string { return standing(e).Word }

func (p *pages) glossary(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "glossary", page{Title: "Words", Body: Glossary})
}
