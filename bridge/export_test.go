package bridge

// CheckIRP holds a request against the rules of an IRN's authority and tells whether it is in order.
func CheckIRP(r Request) bool {
	_, refusal := check(r, irpRules)
	return refusal == nil
}
