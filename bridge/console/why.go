package console

import (
	"cmp"
	"strings"
	"time"

	"einvoice-bridge/bridge"
)

// Sent tells whether an attempt may have left this machine. Of a send that has no end, because it runs or its process
// died in it, nobody knows.
func Sent(a bridge.Attempt) bool {
	return a.Kind != bridge.SendCancel || a.Outcome.Class == bridge.None || a.Outcome.Sent
}

// firstSent is when a cancel of the entry may have left first; zero when none did.
func firstSent(e bridge.Entry) time.Time {
	for _, a := range e.Attempts {
		if a.Kind == bridge.SendCancel && Sent(a) {
			return a.Start
		}
	}
	return time.Time{}
}

// Why is, for operators, what was in the way of an entry that is not settled or ended in trouble; of one that an
// operator ended, where he saw what he recorded. Empty when the authority's answer says it all.
func Why(e bridge.Entry) string {
	if hand := e.ByHand(); hand != nil {
		return hand.Outcome.Alarm
	}
	if why := trouble(e.Outcome); why != "" || e.State == bridge.Final {
		return why
	}
	for i := len(e.Attempts) - 1; i >= 0; i-- {
		if why := trouble(e.Attempts[i].Outcome); why != "" {
			return why
		}
	}
	return ""
}

// trouble is what was in the way, in an outcome that says so.
func trouble(o bridge.Outcome) string {
	switch o.Class {
	case bridge.NotApplied, bridge.Unknown, bridge.Misconfigured:
		return cmp.Or(o.Message, o.Alarm)
	}
	return ""
}

// Remark is what a list says beside an entry's outcome: whose word it is, why, or the authority's own text.
func Remark(e bridge.Entry) string {
	if hand := e.ByHand(); hand != nil {
		return hand.By + ": " + hand.Outcome.Alarm
	}
	return cmp.Or(e.Outcome.Message, Why(e))
}

// wordOf says that an outcome rests on an operator's word: whose, since when, and where he has it from.
func wordOf(hand *bridge.Attempt, z Zone) string {
	return "That is an operator's word, not the authority's: " + hand.By + " on " + z.Clock(hand.Start) + ", “" + hand.Outcome.Alarm + "”."
}

// because adds a reason to a sentence, if there is one, and ends it.
func because(sentence, why string) string {
	if why = strings.TrimRight(why, ". "); why == "" {
		return sentence + "."
	}
	return sentence + ": " + why + "."
}
