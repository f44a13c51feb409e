package config

import (
	"bytes"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// answers are the keys that decide how answers look.
var answers = []string{"contract", "mimic", "wsdl", "fault_detail", "soap12_fault_status"}

// ParseAnswers is Parse for the keys that decide how answers look, and no others: whoever asks for these need not have the
// secrets that stand beside them.
func ParseAnswers(data []byte, dir string, env func(string) (string, bool)) (*File, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, Problems{syntax(err)}
	}
	kept := &yaml.Node{Kind: yaml.MappingNode}
	if len(doc.Content) > 0 {
		for key, value := range pairs(doc.Content[0]) {
			if slices.Contains(answers, key) {
				kept.Content = append(kept.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key, Line: value.Line}, value)
			}
		}
	}
	part, err := yaml.Marshal(kept)
	if err != nil {
		return nil, fmt.Errorf("reading how answers look: %w", err)
	}
	l := loader{dir: dir, env: env, file: defaults()}
	l.file.lines = map[string]int{}
	if err := yaml.Unmarshal(part, &doc); err != nil {
		return nil, Problems{syntax(err)}
	}
	l.expand(doc.Content[0])
	l.decode(doc.Content[0], l.file)
	l.checkWords()
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return l.file, nil
}

// Merge puts lines of configuration into a file. What the file has besides stays byte for byte where the lines' keys are
// new to it; else the whole is written anew, comments kept.
func Merge(file, lines []byte) ([]byte, error) {
	var into, from yaml.Node
	if err := yaml.Unmarshal(file, &into); err != nil {
		return nil, Problems{syntax(err)}
	}
	if err := yaml.Unmarshal(lines, &from); err != nil {
		return nil, fmt.Errorf("the lines to put in: %w", err)
	}
	if len(from.Content) == 0 {
		return file, nil
	}
	isNew := true
	for key := range pairs(from.Content[0]) {
		isNew = isNew && (len(into.Content) == 0 || child(into.Content[0], key) == nil)
	}
	if isNew {
		return append(append(bytes.TrimRight(file, "\n"), "\n\n"...), lines...), nil
	}
	lay(from.Content[0], into.Content[0])
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(&into); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return out.Bytes(), nil
}

// lay lays a mapping over another; lists and values are replaced.
func lay(from, over *yaml.Node) {
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		old := child(over, key.Value)
		switch {
		case old == nil:
			over.Content = append(over.Content, key, value)
		case old.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			lay(value, old)
		default:
			*old = *value
		}
	}
}
