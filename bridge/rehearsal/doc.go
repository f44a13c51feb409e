// Package rehearsal says what a rehearsal has shown: whether the bridge understands everything that the ERP sends, how its
// answers would differ from the provider's, and which lines of configuration make them equal.
//
// The bridge stands in the middle and changes nothing (bridge/server/rehearse.go); a [Recorder] writes down what went
// through. [Look] reads all of that and derives a contract from the provider's answers; [Report.Replay] gives each recorded
// call the bridge's own answer under whatever contract the configuration then makes, and holds the two to each other.
//
// Only how an answer looks is derived: names, order, types, namespaces, declaration, character set and the fixed words.
// What an answer says is the authority's, and is taken from the provider's answer where the two are compared.
package rehearsal
