package soap

import "strings"

// readBody reads the operation's element and, after it or before it, the elements that rpc/encoded callers refer to.
func (r *reading) readBody() *Fault {
	if fault := r.children("Body", r.readBodyChild); fault != nil {
		return fault
	}
	if r.op == nil {
		f := clientf("The Body holds no operation")
		f.Subcode = ProcedureNotPresent
		return f
	}
	if fault := r.place(); fault != nil {
		return fault
	}
	return r.resolve()
}

func (r *reading) readBodyChild() *Fault {
	id, ok := r.referable()
	switch {
	case ok:
		return r.readReference(id)
	case r.unwrapped:
		return r.readParam()
	case r.op != nil:
		return clientf("The Body holds a second element at byte %d", r.scan.start)
	}
	return r.readOperation()
}

// readOperation reads the operation's element, which has just been opened, to its end.
func (r *reading) readOperation() *Fault {
	r.name = r.scan.name
	if r.refused != nil {
		return r.refused
	}
	if t := r.bare(); t != nil { // Body is taken for the operation's element, beginning with this parameter
		r.note("parameters right under Body; SOAPAction named the operation")
		r.name, r.unwrapped = qname{local: t.Name}, true
		r.begin(t)
		return r.readParam()
	}
	op, fault := r.operation()
	if fault != nil {
		return fault
	}
	if fault := r.checkEncoding(); fault != nil {
		return fault
	}
	r.begin(op)
	return r.children(op.Name, r.readParam)
}

func (r *reading) begin(op *opTable) {
	r.op = op
	r.params = make([]Param, len(op.Request))
	for i, p := range op.Request {
		r.params[i].Slot, r.params[i].Name = p.Slot, p.Name
	}
}

// checkEncoding holds a SOAP 1.2 operation to the encodings known (SOAP 1.2 part 2 §3); SOAP 1.1 callers put anything there.
func (r *reading) checkEncoding() *Fault {
	style, ok := r.scan.attr(ns12Envelope, "encodingStyle")
	if !ok || r.spoken != SOAP12 {
		return nil
	}
	switch strings.TrimSpace(style) {
	case "", ns11Encoding, ns12Encoding, ns12None:
		return nil
	}
	return &Fault{Code: DataEncodingUnknown, Text: "The encodingStyle of the operation is not known"}
}

// bare returns the operation of a body whose first element is already a parameter.
func (r *reading) bare() *opTable {
	if !r.d.BareParams {
		return nil
	}
	if t := r.d.named(r.action()); t != nil && t.Name != r.scan.name.local {
		if _, _, ok := t.find(r.scan.name.local, r.d.Strict); ok {
			return t
		}
	}
	return nil
}
