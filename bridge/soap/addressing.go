package soap

import "github.com/google/uuid"

// WS-Addressing 1.0 and the submission of August 2004, which .NET 2.0 and old WebSphere send.
const (
	nsWSA     = "http://www.w3.org/2005/08/addressing"
	nsWSA2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
)

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
