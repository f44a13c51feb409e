// Package config reads the one YAML file that tells einvoice-bridge who calls, for whom, and where their
// cancellations go. [Load] returns a [File] whose every value is checked, or [Problems]: all that is wrong with it at
// once, each with its line.
//
// Values are expanded after the YAML is parsed, so a secret can't change the structure: ${NAME} is an environment
// variable (an unset one is a problem), a value that starts with "file:" is the file's content without the final line
// break, and $$ is a dollar sign. systemd credentials are "file:${CREDENTIALS_DIRECTORY}/name". A relative path, of such a
// file as of journal: sqlite:FILE, counts from the configuration's folder, for every command.
//
// A running bridge takes the changed file up at SIGHUP, whole or not at all: it loads it anew, with its files and the
// environment of its start. Only a restart changes journal, listen, console and traces.
//
// What an upstream may be, and the keys of each kind, are handed in ([Kinds]): the package knows none of them. An upstream's
// settings may be given per upstream and overridden per taxpayer; [File.Taxpayers] has them merged.
//
// The structs' tags say what each key is. schemas/config.json and the guide to all keys are made
// from them: go test ./cmd/einvoice-bridge -run TestMade -update.
//
// load.go is long because it is one pass over one tree: values are expanded, keys held against the structs, what is misspelt is
// read as what was meant, and all that is wrong is gathered with its line. What the values must be stands in check.go.
package config
