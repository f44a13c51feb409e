package bridge

// Setting is one line of the effective configuration, its secrets masked, with what the key is about.
type Setting struct{ Path, Value, About string }

// Change is one key that differs. A secret has neither Was nor Is.
type Change struct {
	Path    string
	Kind    ChangeKind
	Was, Is string
}

// ChangeKind says what happened to a key.
type ChangeKind string

// The kinds of changes.
const (
	Added   ChangeKind = "added"
	Changed ChangeKind = "changed"
	Removed ChangeKind = "removed"
)

// String is the change on one line.
func (c Change) String() string {
	switch {
	case c.Was == "" && c.Is == "":
		return c.Path + " " + string(c.Kind)
	case c.Kind == Changed:
		return c.Path + ": " + c.Was + " → " + c.Is
	}
	return c.Path + " " + string(c.Kind) + ": " + c.Was + c.Is
}
