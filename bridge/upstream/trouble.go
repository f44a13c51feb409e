package upstream

// Trouble tells whether a text says that something on the way failed: a gateway, a proxy, a parser. They word it alike in
// every country and put it into any envelope, and it is no refusal: what became of the cancel behind it is Unknown. Ask it
// only of what no list of refusals has.
func Trouble(text string) bool {
	for _, t := range irpTexts {
		if t.class == IRPTemporary && t.says.MatchString(text) {
			return true
		}
	}
	return false
}
