package soap

import (
	"github.com/google/uuid"
)

// WS-Addressing 1.0 and the submission of August 2004, which .NET 2.0 and old WebSphere send.
const (
	nsWSA     = "http://www.w3.org/2005/08/addressing"
	nsWSA2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
)

var addressingBlocks = []string{"Action", "To", "MessageID", "ReplyTo", "From", "FaultTo", "RelatesTo"}

func isAddressing(space string) bool { return space == nsWSA || space == nsWSA2004 }

// readAddressing takes the MessageID. An address in a request is never called: an answer wanted elsewhere is refused if
// the caller insists on it, and else given on the same connection, as the original does, which knows none of this. To is
// not validated: callers put there whatever their proxy was made from.
func (r *reading) readAddressing(blocks []block) *Fault {
	seen := map[string]bool{}
	for _, b := range blocks {
		if !isAddressing(b.name.Space) {
			continue
		}
		switch b.name.Local {
		case "MessageID", "ReplyTo", "FaultTo":
		default:
			continue
		}
		if seen[b.name.Local] && !b.mustUnderstand {
			r.note("a second WS-Addressing header block of a kind was ignored")
			continue
		}
		if seen[b.name.Local] {
			return addressingFault(b.name.Space, "InvalidAddressingHeader", "A WS-Addressing header block occurs twice")
		}
		seen[b.name.Local] = true
		if b.name.Local != "MessageID" {
			switch {
			case anonymous(b):
			case b.mustUnderstand:
				return addressingFault(b.name.Space, "OnlyAnonymousAddressSupported",
					"Answers are only sent on the connection of the request: ReplyTo and FaultTo must be anonymous")
			default:
				r.note("an address for the answer was ignored; it went back on the connection of the request")
			}
		} else if id := textOf(b.Element); id != "" {
			r.addressing = &Addressing{Namespace: b.name.Space, MessageID: id}
		}
	}
	return nil
}

// anonymous reports whether an endpoint reference stands for the connection of the request, or for nobody.
func anonymous(b block) bool {
	addresses := childrenOf(b.Element, b.name.Space, "Address")
	if len(addresses) != 1 {
		return false
	}
	switch textOf(addresses[0]) {
	case nsWSA + "/anonymous", nsWSA + "/none", nsWSA2004 + "/role/anonymous":
		return true
	}
	return false
}

func addressingFault(space, subcode, text string) *Fault {
	f := ClientFault(text)
	f.Subcode = Subcode{"wsa", space, subcode}
	return f
}

// appendAddressing appends the WS-Addressing header blocks of an answer.
func appendAddressing(b []byte, a *Addressing, action string) []byte {
	id := a.ReplyID
	if id == "" {
		id = "urn:uuid:" + uuid.NewString()
	}
	b = appendBlock(b, a.Namespace, "Action", action)
	b = appendBlock(b, a.Namespace, "MessageID", id)
	return appendBlock(b, a.Namespace, "RelatesTo", a.MessageID)
}

func appendBlock(b []byte, namespace, name, text string) []byte {
	b = append(append(append(b, "<wsa:"...), name...), ` xmlns:wsa="`...)
	b = append(append(b, namespace...), `">`...)
	b = appendText(b, text)
	return append(append(append(b, "</wsa:"...), name...), '>')
}
