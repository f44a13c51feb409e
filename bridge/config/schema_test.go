package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite schemas/config.json from the types")

var schemaFile = filepath.Join("..", "..", "schemas", "config.json")

// The schema in schemas/config.json is what the types say; editors complete and check files with it.
func TestSchemaIsTheTypes(t *testing.T) {
	s := schemaOf(reflect.TypeFor[File]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "einvoice-bridge configuration"
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("schemas/config.json is not the types any more (-update rewrites it):\n%s", diff)
	}
}

// schemaOf describes a type as the loader reads it.
func schemaOf(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+d|([0-9.]+(h|m|s|ms))+)$`}
	case reflect.TypeFor[Names]():
		return map[string]any{"anyOf": []any{map[string]any{"const": "all"}, list(reflect.TypeFor[string]())}}
	case reflect.TypeFor[Understood]():
		return map[string]any{"anyOf": []any{map[string]any{"const": "any"}, list(reflect.TypeFor[string]())}}
	case reflect.TypeFor[Listeners]():
		one := map[string]any{"anyOf": []any{map[string]any{"type": "string"}, object(reflect.TypeFor[Listener]())}}
		return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "items": one}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Struct:
		return object(t)
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Slice:
		return list(t.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0, "maximum": 1}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	}
	return map[string]any{"type": "string"}
}

func list(t reflect.Type) map[string]any {
	return map[string]any{"type": "array", "items": schemaOf(t)}
}

func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for key, field := range fieldsOf(t) {
		s := schemaOf(field)
		if words, ok := choices[key]; ok {
			s["enum"] = words
		}
		if key == "kind" {
			s["enum"] = kindNames()
		}
		properties[key] = s
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// What the loader takes the schema takes, and an unknown key neither.
func TestSchemaAgreesWithTheLoader(t *testing.T) {
	raw, err := os.ReadFile(schemaFile)
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
	for text, ok := range map[string]bool{
		good: true,
		strings.Replace(good, "public_url", "public_uri", 1): false,
		strings.Replace(good, "kind: nic", "kind: nicc", 1):  false,
		strings.Replace(good, "50s", "fifty", 1):             false,
	} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		_, loadErr := parse(t, text)
		if err := schema.Validate(v); (err == nil) != ok || (loadErr == nil) != ok {
			t.Errorf("schema %v, loader %v, want ok %v", err, loadErr, ok)
		}
	}
	if !slices.Contains(kindNames(), "nic") {
		t.Error("no kinds")
	}
}
