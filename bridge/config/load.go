package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with the file: where, and what to write instead.
type Problem struct {
	Line int
	Text string
}

// Problems is everything that is wrong with a file, by line.
type Problems []Problem

// Error lists all problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = fmt.Sprintf("line %d: %s", p.Line, p.Text)
	}
	return strings.Join(lines, "\n")
}

// Load reads and checks the file, whose upstreams are of these kinds. The error is Problems when the file could be read.
func Load(path string, kinds Kinds) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, unread(path, err)
	}
	f, err := Parse(data, filepath.Dir(path), os.LookupEnv, kinds)
	if err != nil {
		return nil, err
	}
	f.path = path
	if f.Journal, err = Placed(f.Journal, filepath.Dir(path)); err != nil {
		return nil, Problems{{f.Line("journal"), err.Error()}}
	}
	return f, nil
}

// unread says which file could not be read: the name may count from a folder that nobody thinks of.
func unread(path string, err error) error {
	whole, absErr := filepath.Abs(path)
	if absErr != nil || !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return fmt.Errorf("there is no configuration %s: -c names another, einvoice-bridge init makes one", whole)
}

// Parse is Load for bytes in hand: dir is where relative file: values are found, env resolves ${NAME}.
func Parse(data []byte, dir string, env func(string) (string, bool), kinds Kinds) (*File, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, Problems{syntax(err)}
	}
	if len(doc.Content) == 0 {
		return nil, Problems{{1, "the file is empty; start from an example or write one with the init command"}}
	}
	l := loader{dir: dir, env: env, kinds: kinds, taken: map[string]fields{"": {}}, nodes: map[string]*yaml.Node{}, file: defaults()}
	for name, kind := range kinds {
		l.taken[name] = fieldsOf(reflect.TypeOf(kind.New()).Elem())
		maps.Copy(l.taken[""], l.taken[name])
	}
	l.file.lines = map[string]int{}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, Problems{{root.Line, "this is no configuration, which has keys and values; is it the right file?"}}
	}
	l.expand(root)
	l.keys(root, reflect.TypeFor[File](), "")
	l.decode(root, l.file)
	l.settings(root)
	if !l.undecoded { // what is not there would be told as missing
		l.check()
	}
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, slices.Compact(l.problems) // a key of every kind is decoded twice
	}
	return l.file, nil
}

// Line is where a key stands, by its path ("taxpayers.29AA.username"), or where its nearest parent does.
func (f *File) Line(path string) int {
	for {
		if n, ok := f.lines[path]; ok {
			return n
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return 1
		}
		path = path[:i]
	}
}

type loader struct {
	dir      string
	env      func(string) (string, bool)
	kinds    Kinds
	taken    map[string]fields     // the keys of each kind; "" has those of all
	nodes    map[string]*yaml.Node // of the upstreams
	file     *File
	problems Problems
	// spoilt are lines whose values are told as wrong already and stand for nothing; undecoded, that something else does.
	spoilt    map[int]bool
	undecoded bool
}

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// spoil is problem for a value that can't be read: nothing else is told of it.
func (l *loader) spoil(line int, format string, args ...any) {
	l.problem(line, format, args...)
	if l.spoilt == nil {
		l.spoilt = map[int]bool{}
	}
	l.spoilt[line] = true
}

// at is problem for a key by its path.
func (l *loader) at(path, format string, args ...any) {
	if line := l.file.Line(path); !l.spoilt[line] {
		l.problem(line, format, args...)
	}
}

var variable = regexp.MustCompile(`\$\$|\$\{[^}]*\}|\$`)

// expand replaces variables and file: values in every scalar value of the tree, keys excepted.
func (l *loader) expand(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			l.expand(n.Content[i])
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			l.expand(c)
		}
	case yaml.AliasNode:
		l.problem(n.Line, "YAML aliases are not supported; write the value out")
	case yaml.ScalarNode:
		l.expandValue(n)
	}
}

func (l *loader) expandValue(n *yaml.Node) {
	if strings.HasPrefix(n.Value, "argon2id:") { // a password hash has dollar signs of its own, never two together
		n.Value = strings.ReplaceAll(n.Value, "$$", "$")
		return
	}
	if !strings.Contains(n.Value, "$") && !strings.HasPrefix(n.Value, "file:") {
		return
	}
	v := variable.ReplaceAllStringFunc(n.Value, func(s string) string {
		switch {
		case s == "$$":
			return "$"
		case s == "$":
			l.spoil(n.Line, "a lone $ is unclear; write ${NAME} for a variable or $$ for a dollar sign")
			return s
		}
		name := s[2 : len(s)-1]
		v, ok := l.env(name)
		if !ok {
			l.spoil(n.Line, "the environment variable %s is not set", brief(name))
			return s
		}
		if inQuotes(v) {
			l.file.quoted = append(l.file.quoted, Problem{n.Line, fmt.Sprintf("the value of the variable %s stands in quotes, which count as "+
				"part of it: Kubernetes takes an env file's values as they are (write them without)", brief(name))})
		}
		return v
	})
	if path, ok := strings.CutPrefix(v, "file:"); ok && !strings.HasPrefix(n.Value, "$") {
		v = l.readValue(n.Line, path)
	}
	n.Value, n.Tag = v, "!!str"
}

// maxValue bounds a file: value; keys and certificates are a few KiB, a saved WSDL some tens.
const maxValue = 1 << 20

func (l *loader) readValue(line int, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		l.spoil(line, "the value's file can't be read: %v", err)
		return path
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err != nil || len(data) > maxValue {
		l.spoil(line, "the value's file %s can't be read or has over %d bytes", path, maxValue)
		return path
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return string(data) // DER or UTF-16: these bytes at its end are no line break
	}
	return string(bytes.TrimRight(data, "\r\n"))
}

// keys finds keys that t does not have, and notes the line of each that it has. yaml's own strict mode works on bytes
// only, and would come before the expansion.
func (l *loader) keys(n *yaml.Node, t reflect.Type, path string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag != "!!null" && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		// yaml would stop at the first one, and tell no line.
		if err := reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			l.spoil(n.Line, "%v", err)
			n.Value, n.Tag = "", "!!null"
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		known := l.spell(n, t, path)
		if path == "" {
			l.findUpstreams(child(n, "upstreams"))
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; known[k.Value] != nil {
				sub := join(path, k.Value)
				l.note(k, sub)
				l.keys(n.Content[i+1], known[k.Value], sub)
			}
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			sub := join(path, k.Value)
			if k.Value == "" || k.ShortTag() == "!!null" || k.ShortTag() == "!!binary" {
				l.problem(k.Line, "a name%s is empty, or not plain text", inside(path))
			}
			l.note(k, sub)
			l.keys(n.Content[i+1], t.Elem(), sub)
		}
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, c := range n.Content {
			l.keys(c, t.Elem(), join(path, strconv.Itoa(i)))
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Slice: // one listener instead of a list
		l.keys(n, t.Elem(), join(path, "0"))
	}
}

func (l *loader) note(k *yaml.Node, path string) {
	if first, ok := l.file.lines[path]; ok {
		l.problem(k.Line, "%q stands twice, first on line %d", brief(path), first)
	}
	l.file.lines[path] = k.Line
}

// known are the keys that t has. An upstream and its taxpayers have those of its kind or, while that isn't known, of all.
func (l *loader) known(n *yaml.Node, t reflect.Type) (known fields, kind string) {
	known = fieldsOf(t)
	switch t {
	case reflect.TypeFor[Upstream]():
		kind = text(child(n, "kind"))
	case reflect.TypeFor[Taxpayer]():
		kind = text(child(l.nodes[text(child(n, "upstream"))], "kind"))
	default:
		return known, ""
	}
	if l.taken[kind] == nil {
		kind = ""
	}
	maps.Copy(known, l.taken[kind])
	return known, kind
}

// spell complains of keys that t does not have. One that is nearly a key it has is read as that from here on, so that what
// is wrong below it is found, and what it stands for is not told as missing.
func (l *loader) spell(n *yaml.Node, t reflect.Type, path string) fields {
	known, kind := l.known(n, t)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if known[k.Value] != nil {
			continue
		}
		meant := nearest(k.Value, maps.Keys(known))
		switch {
		case kind != "" && l.taken[""][k.Value] != nil:
			l.problem(k.Line, "%s is no setting of kind %s", k.Value, kind)
		case meant != "" && child(n, meant) == nil:
			l.problem(k.Line, "unknown key %q%s; did you mean %s?", brief(k.Value), inside(path), meant)
			k.Value = meant
		default:
			l.problem(k.Line, "unknown key %q%s; known here are %s", brief(k.Value), inside(path), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return known
}

// findUpstreams notes the upstreams' places, and complains of kinds that are nearly one.
func (l *loader) findUpstreams(all *yaml.Node) {
	for name, n := range pairs(all) {
		l.nodes[name] = n
		k := child(n, "kind")
		if _, ok := l.kinds[text(k)]; ok || k == nil {
			continue
		}
		if meant := nearest(k.Value, maps.Keys(l.kinds)); meant != "" {
			l.problem(k.Line, "upstream %s has no known kind; did you mean %s?", name, meant)
			k.Value, k.Tag = meant, "!!str"
		}
	}
}

// fields are a struct's, by key.
type fields map[string]reflect.Type

func fieldsOf(t reflect.Type) fields {
	all := fields{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			all[name] = f.Type
		}
	}
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func inside(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}

func (l *loader) decode(n *yaml.Node, into any) {
	if n == nil {
		return // its name is no plain text
	}
	err := n.Decode(into)
	var te *yaml.TypeError
	switch {
	case errors.As(err, &te):
		l.undecoded = true
		for _, e := range te.Errors {
			l.problems = append(l.problems, syntax(errors.New(e)))
		}
	case err != nil:
		l.undecoded = true
		l.problems = append(l.problems, syntax(err))
	}
}

// settings fills in each upstream's settings and, when all of it could be, each taxpayer's: its own over its upstream's.
func (l *loader) settings(root *yaml.Node) {
	for name, u := range l.file.Upstreams {
		if kind, ok := l.kinds[u.Kind]; ok {
			u.Settings = kind.New()
			l.decode(l.nodes[name], u.Settings)
			l.file.Upstreams[name] = u
		}
	}
	if l.undecoded {
		return
	}
	for name, own := range pairs(child(root, "taxpayers")) {
		t := l.file.Taxpayers[name]
		if kind, ok := l.kinds[l.file.Upstreams[t.Upstream].Kind]; ok {
			t.Settings = kind.New()
			l.decode(l.nodes[t.Upstream], t.Settings)
			l.decode(own, t.Settings)
			l.file.Taxpayers[name] = t
		}
	}
}

// keyish is what keys are made of.
var keyish = regexp.MustCompile(`^[\pL\pN_.-]{0,60}`)

// brief is a key fit to be told: in a file that is no configuration it may be a whole line.
func brief(key string) string {
	if b := keyish.FindString(key); b != key {
		return b + "…"
	}
	return key
}

// quoted are the pieces of the file in yaml's own messages: values, names of anchors, keys.
var quoted = regexp.MustCompile("(?s) `.*` into | '.*' referenced|\"[^\"]{60,}\"")

var lineNumber = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?line (\d+): `)

// syntax splits yaml's own message into line and text, without what it quotes of the file.
func syntax(err error) Problem {
	text := quoted.ReplaceAllStringFunc(err.Error(), func(s string) string {
		switch {
		case strings.HasSuffix(s, " into "):
			return " into "
		case strings.HasSuffix(s, " referenced"):
			return " referenced"
		}
		return "…"
	})
	m := lineNumber.FindStringSubmatch(text)
	if m == nil {
		return Problem{1, strings.TrimPrefix(text, "yaml: ")}
	}
	n, _ := strconv.Atoi(m[1])
	return Problem{n, strings.TrimPrefix(text, m[0])}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for k, v := range pairs(n) {
		if k == key {
			return v
		}
	}
	return nil
}

// pairs are a mapping's, in their order.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content) && yield(n.Content[i].Value, n.Content[i+1]); i += 2 {
		}
	}
}

func text(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

// UnmarshalYAML reads one listener or a list.
func (ls *Listeners) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		*ls = make(Listeners, 1)
		return n.Decode(&(*ls)[0])
	}
	return n.Decode((*[]Listener)(ls))
}

// UnmarshalYAML reads one address or a mapping.
func (ls *Listener) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		ls.Address = n.Value
		return nil
	}
	type plain Listener
	return n.Decode((*plain)(ls))
}

// UnmarshalYAML reads the word any or a list.
func (u *Understood) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Value == "any" {
		u.Any = true
		return nil
	}
	return n.Decode(&u.List)
}

// UnmarshalYAML reads the word all or a list.
func (ns *Names) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Value == "all" {
		ns.All = true
		return nil
	}
	return n.Decode(&ns.List)
}
