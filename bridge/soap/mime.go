package soap

func (r *reading) rootPart(m mediaType, body []byte) (mediaType, []byte, *Fault) {
	return m, body, HTTPFault(415, "multipart/related is not supported")
}
