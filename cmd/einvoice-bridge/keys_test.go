package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"einvoice-bridge/bridge"
	"einvoice-bridge/bridge/app"
	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
	"einvoice-bridge/bridge/upstream"
	"einvoice-bridge/cmd/einvoice-bridge/setup"
	"einvoice-bridge/fixtures/deploy"
)

// The schema of the configuration and the tables of its keys are made from the tags of its structs: config.File's and
// each kind's.

var update = flag.Bool("update", false, "rewrite schemas/config.json and the guide of all keys from the structs")

// key is one field of a configuration struct, as its tags have it.
type key struct {
	name, doc, fallback, example string
	rules                        []string
	typ                          reflect.Type
}

func keysIn(t reflect.Type) (all []key) {
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			all = append(all, key{name, f.Tag.Get("doc"), f.Tag.Get("default"), f.Tag.Get("example"), strings.Split(f.Tag.Get("validate"), ","), f.Type})
		}
	}
	return all
}

// kindKeys are a kind's own keys, and those that every kind takes.
func kindKeys(kind string) (own, common []key) {
	for _, k := range keysIn(reflect.TypeOf(app.Kinds[kind].Settings()).Elem()) {
		if slices.ContainsFunc(keysIn(reflect.TypeFor[upstream.Settings]()), func(c key) bool { return c.name == k.name }) {
			common = append(common, k)
		} else {
			own = append(own, k)
		}
	}
	return own, common
}

// kindNames are in the order in which they are told everywhere.
func kindNames() (names []string) {
	for _, o := range setup.Offers {
		names = append(names, o.Kind)
	}
	return names
}

// rule is a rule's parameter.
func (k key) rule(name string) (param string, ok bool) {
	for _, r := range k.rules {
		if tag, param, _ := strings.Cut(r, "="); tag == name {
			return param, true
		}
	}
	return "", false
}

// needed says when a key of a kind must be there; empty: never.
func (k key) needed(kind string) string {
	name := func(field string) string {
		f, _ := reflect.TypeOf(app.Kinds[kind].Settings()).Elem().FieldByName(field)
		return f.Tag.Get("yaml")
	}
	if other, ok := k.rule("required_without"); ok {
		return "or `" + name(other) + "`"
	}
	if other, ok := k.rule("required_if"); ok {
		field, value, _ := strings.Cut(other, " ")
		return "with `" + name(field) + ": " + value + "`"
	}
	if _, ok := k.rule("required"); ok || k.name == "kind" {
		return "yes"
	}
	return ""
}

// Every key says what it is, in a form that tables and complaints can have.
func TestEveryKeyIsDescribed(t *testing.T) {
	var walk func(path string, t reflect.Type)
	seen := map[reflect.Type]bool{}
	walk = func(path string, typ reflect.Type) {
		for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, typ.Kind()) {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || typ == reflect.TypeFor[config.Upstream]() || isWordOrList(typ) {
			return
		}
		seen[typ] = true
		for _, k := range keysIn(typ) {
			at := strings.TrimPrefix(path+"."+k.name, ".")
			if k.doc == "" || strings.Contains(k.doc, "|") || !strings.HasSuffix(k.doc, ".") && !strings.HasSuffix(k.doc, "…") {
				t.Errorf("%s: doc is %q; it must be sentences", at, k.doc)
			}
			var v any
			if err := yaml.Unmarshal([]byte(k.example), &v); err != nil {
				t.Errorf("%s: the example %q is no YAML", at, k.example)
			}
			walk(at, k.typ)
		}
	}
	walk("", reflect.TypeFor[config.File]())
	for name, kind := range app.Kinds {
		walk(name, reflect.TypeOf(kind.Settings()).Elem())
	}
}

// made holds a file, or what stands between two marks of it, against what the structs say.
func made(t *testing.T, path, begin, end, want string) {
	t.Helper()
	path = filepath.Join("..", "..", path)
	raw, err := os.ReadFile(path)
	if err != nil && !*update {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	have, after, ok2 := rest, "", true
	if end != "" {
		have, after, ok2 = strings.Cut(rest, end)
		after = end + after
	}
	if begin == "" {
		before = ""
	}
	if begin != "" && !ok || !ok2 {
		t.Fatalf("%s has no place for it between %q and %q", path, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(have, want); diff != "" {
		t.Errorf("%s is not what the structs say (-it +they); renew it: go test ./cmd/einvoice-bridge -run TestMade -update\n%s", path, diff)
	}
}

func TestMadeSchema(t *testing.T) {
	s := schemaOf(reflect.TypeFor[config.File](), reflect.ValueOf(defaultFile(t)))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "einvoice-bridge configuration"
	defs := map[string]any{}
	for _, kind := range kindNames() {
		own, common := kindKeys(kind)
		defs[kind] = object(append(common, own...), reflect.Value{})
	}
	s["$defs"] = defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	made(t, "schemas/config.json", "", "", b.String())
}

// defaultFile is what a file works as that says nothing.
func defaultFile(t *testing.T) config.File {
	t.Helper()
	f, err := config.Parse([]byte("callers: {erp: {tokens: [], taxpayers: all}}"), t.TempDir(), os.LookupEnv, app.FileKinds)
	if err != nil {
		t.Fatal(err)
	}
	f.Callers = nil
	return *f
}

// isWordOrList tells whether a value is a word or a list, whatever its fields.
func isWordOrList(t reflect.Type) bool {
	return t == reflect.TypeFor[config.Names]() || t == reflect.TypeFor[config.Understood]()
}

// schemaOf describes a type as the loader reads it; v has the defaults, if it is valid.
func schemaOf(t reflect.Type, v reflect.Value) map[string]any {
	switch t {
	case reflect.TypeFor[bridge.Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+d|([0-9.]+(h|m|s|ms))+)$`}
	case reflect.TypeFor[config.Names]():
		return map[string]any{"anyOf": []any{map[string]any{"const": "all"}, list(reflect.TypeFor[string]())}}
	case reflect.TypeFor[config.Understood]():
		return map[string]any{"anyOf": []any{map[string]any{"const": "any"}, list(reflect.TypeFor[string]())}}
	case reflect.TypeFor[config.Listeners]():
		one := map[string]any{"anyOf": []any{map[string]any{"type": "string"}, object(keysIn(reflect.TypeFor[config.Listener]()), reflect.Value{})}}
		return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "items": one}}}
	case reflect.TypeFor[config.Upstream]():
		return upstreamSchema()
	case reflect.TypeFor[config.Taxpayer]():
		return taxpayerSchema()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), reflect.Value{})
	case reflect.Struct:
		return object(keysIn(t), v)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), reflect.Value{})}
	case reflect.Slice:
		return list(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0, "maximum": 1}
	case reflect.Int:
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return map[string]any{"type": "string"}
}

func list(t reflect.Type) map[string]any {
	return map[string]any{"type": "array", "items": schemaOf(t, reflect.Value{})}
}

func object(keys []key, defaults reflect.Value) map[string]any {
	properties := map[string]any{}
	for _, k := range keys {
		properties[k.name] = k.schema(defaults)
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func (k key) schema(defaults reflect.Value) map[string]any {
	var v reflect.Value
	if defaults.IsValid() {
		v = fieldOf(defaults, k.name)
	}
	s := schemaOf(k.typ, v)
	s["description"] = k.doc
	if words, ok := k.rule("oneof"); ok {
		s["enum"] = strings.Fields(words)
	}
	if least, ok := k.rule("min"); ok {
		s["minimum"] = json.Number(least)
	}
	if k.name == "kind" {
		s["enum"] = kindNames()
	}
	fallback := k.fallback
	if v.IsValid() {
		fallback = shownDefault(v)
	}
	if n, err := strconv.Atoi(fallback); err == nil && (k.typ.Kind() == reflect.Int || k.typ.Kind() == reflect.Float64) {
		s["default"] = n
	} else if fallback != "" {
		s["default"] = fallback
	}
	if k.example != "" {
		var v any
		if yaml.Unmarshal([]byte(k.example), &v) == nil {
			s["examples"] = []any{v}
		}
	}
	return s
}

func fieldOf(v reflect.Value, key string) reflect.Value {
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Tag.Get("yaml") == key {
			return v.FieldByIndex(f.Index)
		}
	}
	panic("no key " + key)
}

// shownDefault is a default as it would be written; empty when there is none, or when it is that of keys below.
func shownDefault(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case config.Listeners:
		return x[0].Address
	case bridge.Secret, bool:
		return ""
	case bridge.Duration:
		text := x.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, zero) {
				text = strings.TrimSuffix(text, zero[1:])
			}
		}
		return text
	}
	if slices.Contains([]reflect.Kind{reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer}, v.Kind()) || v.IsZero() {
		return ""
	}
	return fmt.Sprint(v.Interface())
}

// upstreamSchema lets an editor know which keys a kind takes, once the kind is written.
func upstreamSchema() map[string]any {
	var each []any
	_, common := kindKeys("nic")
	properties := map[string]any{"kind": common[0].schema(reflect.Value{})}
	for _, kind := range kindNames() {
		each = append(each, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"kind": map[string]any{"const": kind}}, "required": []string{"kind"}},
			"then": map[string]any{"$ref": "#/$defs/" + kind},
		})
	}
	return map[string]any{"type": "object", "required": []string{"kind"}, "properties": properties, "allOf": each}
}

// taxpayerSchema has the keys of all kinds: a schema can't follow the upstream's name to its kind. What kinds say of one
// key differently stands in it by kind.
func taxpayerSchema() map[string]any {
	properties := map[string]any{}
	for _, k := range keysIn(reflect.TypeFor[config.Taxpayer]()) {
		properties[k.name] = k.schema(reflect.Value{})
	}
	docs := map[string][]string{}
	for _, kind := range kindNames() {
		own, common := kindKeys(kind)
		for _, k := range append(common, own...) {
			s := k.schema(reflect.Value{})
			if k.name != "kind" {
				delete(s, "default") // the upstream's value is
				properties[k.name], docs[k.name] = s, append(docs[k.name], kind+": "+k.doc)
			}
		}
	}
	for name, all := range docs {
		texts := map[string]bool{}
		for _, d := range all {
			_, text, _ := strings.Cut(d, ": ")
			texts[text] = true
		}
		if len(texts) > 1 {
			properties[name].(map[string]any)["description"] = strings.Join(all, "\n")
		}
	}
	return map[string]any{"type": "object", "additionalProperties": false, "required": []string{"upstream"}, "properties": properties}
}

// kindsTable says which keys an upstream needs.
func kindsTable(b *strings.Builder) {
	b.WriteString("| kind | needs | takes |\n|---|---|---|\n")
	_, common := kindKeys("nic")
	for _, kind := range kindNames() {
		own, _ := kindKeys(kind)
		needs, takes := []string{"`base_url`"}, []string{}
		for _, k := range own {
			switch when := k.needed(kind); when {
			case "":
				takes = append(takes, "`"+k.name+"`")
			case "yes":
				needs = append(needs, "`"+k.name+"`")
			default:
				needs = append(needs, "`"+k.name+"` ("+when+")")
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", kind, strings.Join(needs, " "), strings.Join(takes, " "))
	}
	b.WriteString("| every kind | | ")
	for _, k := range common {
		if k.name != "kind" && k.name != "base_url" {
			b.WriteString("`" + k.name + "` ")
		}
	}
	b.WriteString("|\n\n" +
		"For `nic` a gateway's own static header (`headers`) may stand for `client_id` and `client_secret`, for `mastersindia` with `api: v1`\n" +
		"`api_key` for `username` and `password`.\n" +
		"\n" +
		"Documents of environments other than `production` are kept apart in the journal (`irp/sandbox`): an invoice tried in a sandbox has the\n" +
		"IRN of the real one. Without `environment` the host's name decides (sandbox, preprod, uat, … or else production), and `check` warns.\n" +
		"`sandbox` with a host that is known as production's, and the reverse, is an error; http to another machine is warned of.\n")
}

func TestMadeGuide(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Every key of the configuration\n\nMade from the program's structs, like `schemas/config.json`, with which editors complete and check the file.\n\n## The file\n\n")
	b.WriteString("| key | what it is | default, or an example |\n|---|---|---|\n")
	fileTable(&b, "", keysIn(reflect.TypeFor[config.File]()), reflect.ValueOf(defaultFile(t)))
	b.WriteString("\n## Which keys an upstream needs\n\n")
	kindsTable(&b)
	b.WriteString("\n## Every upstream\n\nEach of these and the following may stand at a taxpayer instead, and counts there before its upstream's.\n\n")
	_, common := kindKeys("nic")
	kindTable(&b, "nic", common)
	for _, kind := range kindNames() {
		own, _ := kindKeys(kind)
		fmt.Fprintf(&b, "\n## Kind `%s`\n\n", kind)
		kindTable(&b, kind, own)
	}
	made(t, "fixtures/deploy/guides/keys.md", "", "", b.String())
}

// The guide to words is the console's glossary, which the pages and commands take their words from.
func TestMadeWords(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Words\n\nWhat pages, commands and exports mean by their words. Made from the program's own glossary.\n")
	for _, w := range console.Glossary {
		fmt.Fprintf(&b, "\n## %s\n\n| word | in exports, metrics and flags | what it means |\n|---|---|---|\n", w.Title)
		for _, term := range w.Terms {
			name := term.Name
			if name != "" {
				name = "`" + name + "`"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", term.Word, name, term.Means)
		}
	}
	made(t, "fixtures/deploy/guides/words.md", "", "", b.String())
}

func fileTable(b *strings.Builder, path string, keys []key, defaults reflect.Value) {
	for _, k := range keys {
		var v reflect.Value
		fallback := ""
		if defaults.IsValid() {
			v = fieldOf(defaults, k.name)
			fallback = shownDefault(v)
		}
		row(b, path+k.name, k.told(), cell(fallback, k.example))
		t, below := k.typ, path+k.name+"."
		for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, t.Kind()) {
			if t.Kind() == reflect.Map {
				below += "NAME."
			}
			t, v = t.Elem(), reflect.Value{}
		}
		if t.Kind() == reflect.Struct && t != reflect.TypeFor[config.Upstream]() && !isWordOrList(t) {
			fileTable(b, below, keysIn(t), v)
		}
	}
}

func kindTable(b *strings.Builder, kind string, keys []key) {
	b.WriteString("| key | needed | what it is | default, or an example |\n|---|---|---|---|\n")
	for _, k := range keys {
		row(b, k.name, k.needed(kind), k.told(), cell(k.fallback, k.example))
	}
}

// told is a key's description, with the words that it may have.
func (k key) told() string {
	words, ok := k.rule("oneof")
	switch {
	case k.name == "kind":
		words = strings.Join(kindNames(), " ")
	case !ok:
		return k.doc
	}
	return k.doc + " `" + strings.Join(strings.Fields(words), "`, `") + "`."
}

func cell(fallback, example string) string {
	switch {
	case fallback != "":
		return "`" + fallback + "`"
	case example != "":
		return "e.g. `" + example + "`"
	}
	return ""
}

func row(b *strings.Builder, key string, cells ...string) {
	fmt.Fprintf(b, "| `%s` | %s |\n", key, strings.Join(cells, " | "))
}

// What the loader takes the schema takes, and what an editor would mark the loader refuses.
func TestSchemaAgreesWithTheLoader(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "schemas", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	const good = `
reply_within: 50s
log: {level: info}
upstreams:
  nic: {kind: nic, base_url: "https://nic.example", client_id: a, client_secret: b, public_key: c, timeout: 20s}
  my: {kind: myinvois, base_url: "https://my.example", client_id: a, client_secret: b, irn_map: {x: F9D425P6DS7D8IU8F9D425P6DS}}
taxpayers:
  29AAFCD5862R000: {upstream: nic, username: u, password: p}
  C25845632020: {upstream: my, on_behalf_of: C25845632020}
callers: {erp: {tokens: [], taxpayers: all}}
`
	for _, tc := range []struct {
		old, new string
		ok       bool
	}{
		{"", "", true},
		{"reply_within", "reply_inside", false},
		{"kind: nic", "kind: nicc", false},
		{"kind: nic, ", "", false},
		{"50s", "fifty", false},
		{"level: info", "level: loud", false},
		{"public_key", "on_behalf_of", false},
		{"public_key: c", "public_key: c, header_style: hyphen", true},
		{"public_key: c", "public_key: c, header_style: dots", false},
		{"public_key: c", "public_key: c, cancels_per_minute: many", false},
		{"upstream: nic, ", "", false},
		{"username: u", "user: u", false},
		{"username: u", "username: u, timeout: 5s", true},
	} {
		text := strings.Replace(good, tc.old, tc.new, 1)
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		_, loadErr := config.Parse([]byte(text), t.TempDir(), os.LookupEnv, app.FileKinds)
		if err := schema.Validate(v); (err == nil) != tc.ok || (loadErr == nil) != tc.ok {
			t.Errorf("%s → %s: schema %v, loader %v, want ok %v", tc.old, tc.new, err, loadErr, tc.ok)
		}
	}
	examples, _ := fs.Glob(deploy.Files, "examples/*.yaml") // which the loader takes, by another test
	for _, name := range examples {
		text, err := fs.ReadFile(deploy.Files, name)
		var v any
		if err := errors.Join(err, yaml.Unmarshal(text, &v)); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(examples) < len(app.Kinds) {
		t.Errorf("only %d examples", len(examples))
	}
}
