// Package schemas holds the contracts in files that other tools can read: XSD of the SOAP messages (soap/), JSON
// Schema of every payload that an upstream gets from us or that we rely on (one folder per upstream), and of the
// configuration file. Tests hold what is really sent against them; at run time nothing reads them.
// A package of its own, since only files below a package can be embedded.
package schemas

import "embed"

// Files are all schemas, by path: "nic/cancel-request.json", "soap/messages.xsd", …
//
//go:embed */* *.json
var Files embed.FS
