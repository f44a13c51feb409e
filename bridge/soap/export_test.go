package soap

import "einvoice-bridge/bridge/soap/payload"

// Doc returns the transcoded envelope that a request was read from.
func (r *Request) Doc() []byte { return r.doc }

// WellFormed holds a document to the scanner's rules alone.
func WellFormed(doc []byte) error {
	if refusal := payload.CheckChars(doc, false); refusal != nil {
		return clientf("%s", refusal.Text)
	}
	var s scanner
	if fault := s.init(doc, true); fault != nil {
		return fault
	}
	for {
		t, fault := s.next()
		if fault != nil {
			return fault
		}
		if t == tokEOF {
			return nil
		}
	}
}

// Cleaned is what remains of a reply's text on the wire.
func Cleaned(s string) string { return oneLine(s, maxMessage) }
