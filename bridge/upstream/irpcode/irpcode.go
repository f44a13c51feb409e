// Package irpcode is what all ways to India's e-invoice system (the Invoice Registration Portal of NIC) have in
// common, whoever carries the call: the table of its error codes and the rules of its cancel fields. The government's
// own API and every provider in front of it answer with these codes.
//
// An adapter collects the errors of one reply and asks [Of] what they mean for a cancel. One that logs in to NIC
// itself looks for [Token] first, drops its session and tries again; for the others [Verdict.On] has the whole answer.
package irpcode

import (
	"slices"
	"strings"

	"einvoice-bridge/bridge"
)

// Class is what an error code means for a cancel.
type Class uint8

// The classes. Codes that only generating an invoice can produce are Business, and so is a code that no table lists.
const (
	Business   Class = iota // the authority said no
	Token                   // the session at NIC was not accepted: stopped at the gate
	Credential              // credentials, rights or deployment are wrong
	Payload                 // the request itself is wrong, ours or the caller's
	Temporary               // it may have been carried out
	Already                 // the document is not active any more
)

// Error is one entry of a reply's list of errors.
type Error struct{ Code, Text string }

// String is the error as callers of the legacy service know it: "2270: text".
func (e Error) String() string {
	code, text := strings.TrimSpace(e.Code), strings.TrimSpace(e.Text)
	switch {
	case code == "":
		return text
	case text == "":
		return code
	}
	return code + ": " + text
}

// Class looks the error up. listed is false for a code that no published list has.
func (e Error) Class() (c Class, listed bool) {
	code, text := strings.TrimSpace(e.Code), strings.ToLower(e.Text)
	switch code {
	case "9999": // a catch-all number; only its text says more
		if strings.Contains(text, "not active") {
			return Already, true
		}
		return Business, true
	case "5002": // either a crash or a complaint about the schema
		if strings.HasPrefix(strings.TrimSpace(text), "application error") {
			return Temporary, true
		}
		return Payload, true
	}
	if c, listed = table[code]; !listed && len(code) == 4 && code[0] == '4' {
		return Business, true // the e-way bill side has one list of its own, all refusals but the two in the table
	}
	return c, listed
}

// Verdict is what all errors of one reply mean together.
type Verdict struct {
	Class  Class
	Codes  string // joined by ","
	Text   string // joined by "; "
	Listed bool   // every code is in the published lists
}

// precedence puts what needs another's action first; Already stands apart, see Of.
var precedence = []Class{Token, Credential, Payload, Business, Temporary}

// Of weighs the errors of one reply. "Already cancelled" beside another code contradicts itself: that is Temporary, so
// that the document is looked up. No errors at all are Temporary too.
func Of(errs ...Error) Verdict {
	v := Verdict{Class: Temporary, Listed: true}
	var codes, texts []string
	has := map[Class]bool{}
	for _, e := range errs {
		class, listed := e.Class()
		has[class] = true
		v.Listed = v.Listed && listed
		if code := strings.TrimSpace(e.Code); code != "" && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
		if text := e.String(); text != "" {
			texts = append(texts, text)
		}
	}
	v.Codes, v.Text = strings.Join(codes, ","), strings.Join(texts, "; ")
	switch {
	case has[Already] && len(has) == 1:
		v.Class = Already
	case has[Already]:
	default:
		for _, c := range precedence {
			if has[c] {
				v.Class = c
				break
			}
		}
	}
	return v
}

// On completes the outcome of a reply (its transport side: status, written, wait) with the verdict. Token becomes
// NotApplied: it is the provider's own session at NIC that was refused, and the provider will log in again.
func (v Verdict) On(o bridge.Outcome) bridge.Outcome {
	o.Code, o.Message, o.Unclassified = v.Codes, v.Text, !v.Listed
	switch v.Class {
	case Token:
		o.Class = bridge.NotApplied
	case Credential:
		o.Class = bridge.Misconfigured
		o.Alarm = "the authority refuses our credentials or rights: " + v.Text
	case Payload:
		o.Class = bridge.Refused
		o.Alarm = "the authority finds fault with the request itself: " + v.Text
	case Temporary:
		o.Class = bridge.Unknown
	case Already:
		o.Class = bridge.AlreadyCancelled
	default:
		o.Class = bridge.Refused
	}
	return o
}
