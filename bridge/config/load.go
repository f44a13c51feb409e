package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

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

// Load reads and checks the file. The error is Problems when the file could be read.
func Load(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	f, err := Parse(data, filepath.Dir(path), os.LookupEnv)
	if err == nil {
		f.path = path
	}
	return f, err
}

// Parse is Load for bytes in hand: dir is where relative file: values are found, env resolves ${NAME}.
func Parse(data []byte, dir string, env func(string) (string, bool)) (*File, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, Problems{syntax(err)}
	}
	if len(doc.Content) == 0 {
		return nil, Problems{{1, "the file is empty; start from an example or write one with the init command"}}
	}
	l := loader{dir: dir, env: env, file: defaults()}
	l.file.lines = map[string]int{}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, Problems{{root.Line, "this is no configuration, which has keys and values; is it the right file?"}}
	}
	l.expand(root)
	l.keys(root, reflect.TypeFor[File](), "")
	l.decode(root)
	if len(l.problems) == 0 {
		l.merge(root)
	}
	if len(l.problems) == 0 {
		l.check()
	}
	if len(l.problems) > 0 {
		sort.SliceStable(l.problems, func(i, j int) bool { return l.problems[i].Line < l.problems[j].Line })
		return nil, l.problems
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
	file     *File
	problems Problems
}

func (l *loader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// at is problem for a key by its path.
func (l *loader) at(path, format string, args ...any) {
	l.problem(l.file.Line(path), format, args...)
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
			l.problem(n.Line, "a lone $ is unclear; write ${NAME} for a variable or $$ for a dollar sign")
			return s
		}
		name := s[2 : len(s)-1]
		v, ok := l.env(name)
		if !ok {
			l.problem(n.Line, "the environment variable %s is not set", brief(name))
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
		l.problem(line, "the value's file can't be read: %v", err)
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err != nil || len(data) > maxValue {
		l.problem(line, "the value's file %s can't be read or has over %d bytes", path, maxValue)
		return ""
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
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := fieldsOf(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i]
			sub := join(path, k.Value)
			field, ok := fields[k.Value]
			if !ok {
				l.problem(k.Line, "unknown key %q%s; known here are %s", brief(k.Value), inside(path), known(fields))
				continue
			}
			l.note(k, sub)
			l.keys(n.Content[i+1], field, sub)
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(n.Content); i += 2 {
			sub := join(path, n.Content[i].Value)
			l.note(n.Content[i], sub)
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

func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case opt == "inline":
			for k, v := range fieldsOf(f.Type) {
				fields[k] = v
			}
		case name != "" && name != "-":
			fields[name] = f.Type
		}
	}
	return fields
}

func known(fields map[string]reflect.Type) string {
	names := make([]string, 0, len(fields))
	for n := range fields {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
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

func (l *loader) decode(root *yaml.Node) {
	err := root.Decode(l.file)
	var te *yaml.TypeError
	switch {
	case errors.As(err, &te):
		for _, e := range te.Errors {
			l.problems = append(l.problems, syntax(errors.New(e)))
		}
	case err != nil:
		l.problems = append(l.problems, syntax(err))
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

// merge lays each taxpayer's own settings over its upstream's.
func (l *loader) merge(root *yaml.Node) {
	taxpayers := child(root, "taxpayers")
	for i := 0; taxpayers != nil && i+1 < len(taxpayers.Content); i += 2 {
		name, own := taxpayers.Content[i].Value, taxpayers.Content[i+1]
		t := l.file.Taxpayers[name]
		base, ok := l.file.Upstreams[t.Upstream]
		if !ok {
			continue // check says so
		}
		t.Settings = base.clone()
		own = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: without(own.Content, "upstream")}
		if err := own.Decode(&t.Settings); err != nil {
			l.problems = append(l.problems, syntax(err))
		}
		l.file.Taxpayers[name] = t
	}
}

// clone gives the copy its own maps: decoding adds to a map that is there.
func (u Upstream) clone() Upstream {
	u.Headers, u.IRNMap = maps.Clone(u.Headers), maps.Clone(u.IRNMap)
	u.CallHeaders, u.Query = maps.Clone(u.CallHeaders), maps.Clone(u.Query)
	return u
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func without(pairs []*yaml.Node, key string) []*yaml.Node {
	var rest []*yaml.Node
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i].Value != key {
			rest = append(rest, pairs[i], pairs[i+1])
		}
	}
	return rest
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

// UnmarshalYAML reads "50s", "24h" or "400d".
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	if days, ok := strings.CutSuffix(n.Value, "d"); ok {
		if v, err := strconv.Atoi(days); err == nil && v >= 0 {
			*d = Duration(time.Duration(v) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: this is no duration; write 50s, 30m, 24h or 400d", n.Line)}}
	}
	*d = Duration(v)
	return nil
}

// UnmarshalYAML reads the word all or a list.
func (ns *Names) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Value == "all" {
		ns.All = true
		return nil
	}
	return n.Decode(&ns.List)
}
