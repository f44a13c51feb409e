package upstreamtest

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"einvoice-bridge/schemas"
)

// Schema compiles one of the schemas of an upstream, schemas/<kind>/<name>; they may refer to each other.
func Schema(t testing.TB, kind, name string) *jsonschema.Schema {
	t.Helper()
	const base = "https://schemas.example/"
	c := jsonschema.NewCompiler()
	c.AssertContent()
	files, err := schemas.Files.ReadDir(kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := schemas.Files.ReadFile(kind + "/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.AddResource(base+kind+"/"+file.Name(), doc); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Compile(base + kind + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Valid holds a JSON body against a schema.
func Valid[T ~string | ~[]byte](t testing.TB, s *jsonschema.Schema, body T) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}
