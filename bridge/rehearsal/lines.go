package rehearsal

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"einvoice-bridge/bridge/soap"
)

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// lines words what a derived contract has otherwise than the configured one, in the configuration's keys.
func lines(configured, derived *soap.Contract, s *study) string {
	var contract, mimic []string
	put := func(into *[]string, indent int, key, was, is string) {
		if was != is {
			*into = append(*into, strings.Repeat("  ", indent)+key+": "+is)
		}
	}
	put(&contract, 1, "namespace", quoted(configured.Namespace), quoted(derived.Namespace))
	put(&contract, 1, "qualified", fmt.Sprint(configured.Qualified), fmt.Sprint(derived.Qualified))
	var operations []string
	for _, name := range []string{derived.Cancel.Name, derived.Token.Name} {
		was, is := configured.Operation(name), derived.Operation(name)
		var all []string
		put(&all, 3, "request_namespace", quoted(was.Namespace), quoted(is.Namespace))
		put(&all, 3, "response_element", quoted(was.ResponseName), quoted(is.ResponseName))
		put(&all, 3, "response_wrapper", quoted(was.ResponseWrapper), quoted(is.ResponseWrapper))
		put(&all, 3, "encoding_style", quoted(was.EncodingStyle), quoted(is.EncodingStyle))
		if !slices.Equal(was.Request, is.Request) {
			all = append(append(all, "      request:"), partLines(is.Request, nil)...)
		}
		if !slices.Equal(was.Response, is.Response) {
			all = append(append(all, "      response:"), partLines(is.Response, s.ops[name])...)
		}
		if len(all) > 0 {
			operations = append(append(operations, "    "+name+":"), all...)
		}
	}
	if len(operations) > 0 {
		contract = append(append(contract, "  operations:"), operations...)
	}
	if values := valueLines(&configured.Values, &derived.Values, put); len(values) > 0 {
		contract = append(append(contract, "  values:"), values...)
	}
	put(&mimic, 1, "encoding_style", fmt.Sprint(configured.Mimic.EncodingStyle), fmt.Sprint(derived.Mimic.EncodingStyle))
	put(&mimic, 1, "response_charset", quoted(configured.Mimic.ResponseCharset), quoted(derived.Mimic.ResponseCharset))
	put(&mimic, 1, "no_declaration", fmt.Sprint(configured.Mimic.NoDeclaration), fmt.Sprint(derived.Mimic.NoDeclaration))
	return section("contract:", contract) + section("mimic:", mimic)
}

func section(title string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return title + "\n" + strings.Join(lines, "\n") + "\n"
}

func valueLines(was, is *soap.Values, put func(*[]string, int, string, string, string)) (all []string) {
	for _, v := range []struct{ key, was, is string }{
		{"success", was.SuccessStatus, is.SuccessStatus}, {"failed", was.FailedStatus, is.FailedStatus},
		{"success_code", was.SuccessCode, is.SuccessCode}, {"failed_code", was.FailedCode, is.FailedCode},
		{"success_flag", was.SuccessFlag, is.SuccessFlag}, {"failed_flag", was.FailedFlag, is.FailedFlag},
	} {
		put(&all, 2, v.key, quoted(v.was), quoted(v.is))
	}
	return all
}

// partLines has each part on a line, with what was seen in it where that is a few words, so that people can see whether
// its meaning was guessed right.
func partLines(parts []soap.Part, o *opStudy) (all []string) {
	for i, p := range parts {
		line := "        - {slot: " + p.Slot + ", name: " + quoted(p.Name)
		if p.Slot == soap.SlotConst {
			line += ", const: " + quoted(p.Const)
		}
		if p.Type != "" {
			line += ", type: " + quoted(p.Type)
		}
		line += "}"
		if o != nil {
			line += seenIn(o.common().parts[i], p.Slot)
		}
		all = append(all, line)
	}
	return all
}

func seenIn(p *partStudy, slot string) string {
	switch slot {
	case soap.SlotStatus, soap.SlotCode, soap.SlotErrorFlag, soap.SlotConst:
	default:
		return ""
	}
	var words []string
	for _, text := range slices.Sorted(maps.Keys(p.texts)) {
		if text != "" && len(words) < 4 {
			words = append(words, strconv.Quote(text[:min(len(text), 40)]))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " # " + strings.Join(words, ", ")
}

// quoted is a text as the configuration file has it, where a dollar sign begins a variable.
func quoted(text string) string { return strings.ReplaceAll(strconv.QuoteToASCII(text), "$", "$$") }
