package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-playground/validator/v10"
)

// rule is what a key's validate tag can ask, beside being required: our own rules, and those of the validator that have no
// holds here. A breach is told by text, after the key's name; # is the rule's parameter.
type rule struct {
	holds func(value, param string) bool
	text  string
}

var rules = map[string]rule{
	"address":       {func(v, _ string) bool { return addressFault(v) == "" }, ""},
	"proxy":         {func(v, _ string) bool { return addressFault(v) == "" }, ""},
	"gstin":         {func(v, _ string) bool { return gstin.MatchString(strings.ToUpper(strings.TrimSpace(v))) }, "is not 15 letters and digits"},
	"visible":       {func(v, _ string) bool { return IsVisible(v) }, "has blanks or characters that can't be sent in a header"},
	"printing":      {func(v, _ string) bool { return !HasControl(v) }, "has control characters and can't be sent in a header"},
	"header":        {func(v, _ string) bool { return v != "" && strings.Trim(v, tokenChars) == "" }, "is not the name of a header"},
	"value":         {func(v, _ string) bool { return !HasControl(strings.ReplaceAll(v, "\t", "")) }, "can't be sent as a header"},
	"segment":       {func(v, _ string) bool { return isSegment(v) }, "may not have slashes, dots in a row or control characters"},
	"path":          {isPath, "must start with a slash and be a path"}, // with its parameter as a placeholder
	"oneof":         {},
	"datetime":      {nil, "is no day such as 2027-03-31"},
	"min":           {nil, "must be # or more"},
	"len":           {nil, "must have exactly # characters"},
	"alphanum":      {nil, "may have letters and digits only"},
	"printascii":    {nil, "has characters that can't be sent in a header"},
	"excluded_with": {nil, "can't stand beside #; leave out the one or the other"},
	"excluded_if":   {nil, "can't stand beside #"},
}

// validate caches structs and is safe for concurrent use.
var validate = newValidator()

func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(keyName)
	for tag, r := range rules {
		if r.holds == nil {
			continue
		}
		err := v.RegisterValidation(tag, func(f validator.FieldLevel) bool { return r.holds(f.Field().String(), f.Param()) })
		if err != nil {
			panic(err) // a misspelt tag of our own
		}
	}
	return v
}

func keyName(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return key
}

// Check holds a pointer to a kind's configuration struct against its tags: keys that it can't do without and lacks, and
// keys whose values can't be, each with words that may follow the key's name.
func Check(settings any) (missing, wrong map[string]string) {
	var broken validator.ValidationErrors
	if !errors.As(validate.Struct(settings), &broken) {
		return nil, nil
	}
	t := reflect.TypeOf(settings).Elem()
	missing, wrong = map[string]string{}, map[string]string{}
	for _, b := range broken {
		key := b.Field()
		if strings.HasPrefix(b.Tag(), "required") {
			missing[key] = lack(t, b)
			continue
		}
		// Of a map's entry the validator says headers[x].
		wrong[strings.NewReplacer("[", ".", "]", "").Replace(key)] = fault(t, b)
	}
	return missing, wrong
}

// lack tells what a missing key is, and what may stand for it.
func lack(t reflect.Type, b validator.FieldError) string {
	f, _ := t.FieldByName(b.StructField())
	text, _, _ := strings.Cut(strings.TrimSuffix(f.Tag.Get("doc"), "."), ". ")
	switch b.Tag() {
	case "required_without":
		text += "; " + others(t, b) + " may stand for it"
	case "required_with":
		text += "; it goes with " + others(t, b)
	}
	return " (" + text + ")"
}

// others is the key that a rule names, with the value that it may have.
func others(t reflect.Type, b validator.FieldError) string {
	name, value, found := strings.Cut(b.Param(), " ")
	f, _ := t.FieldByName(name)
	if found {
		value = ": " + value
	}
	return keyName(f) + value
}

// fault is a broken rule in words.
func fault(t reflect.Type, b validator.FieldError) string {
	value, _ := b.Value().(string)
	text := rules[b.Tag()].text
	switch b.Tag() {
	case "address", "proxy":
		return addressFault(value)
	case "oneof":
		words := strings.ReplaceAll(b.Param(), " ", ", ")
		if last := strings.LastIndex(words, ", "); last > 0 {
			words = words[:last] + " or" + words[last+1:]
		}
		return fmt.Sprintf("is %q, must be %s", value, words)
	case "gstin":
		return fmt.Sprintf("%q %s", value, text)
	case "path":
		if strings.ContainsAny(strings.ReplaceAll(value, b.Param(), ""), "{}") {
			return "has braces; the only placeholder is {irn}, in lookup_path"
		}
		return text
	case "excluded_with", "excluded_if":
		return strings.ReplaceAll(text, "#", others(t, b))
	default:
		return strings.ReplaceAll(cmp.Or(text, "breaks the rule "+b.Tag()), "#", b.Param())
	}
}

func addressFault(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is no http(s) address"
	case u.User != nil:
		return "holds a user name; credentials have keys of their own"
	case u.RawQuery != "" || u.Fragment != "":
		return "ends before the question mark"
	}
	return ""
}

// tokenChars are those of a header's name (RFC 9110 §5.6.2).
const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

var gstin = regexp.MustCompile(`^[0-9A-Z]{15}$`)

// GSTIN tells what is wrong with a taxpayer of India.
func (s *Settings) GSTIN() error {
	if gstin.MatchString(s.Taxpayer) {
		return nil
	}
	return fmt.Errorf("gstin %q is not 15 letters and digits", s.Taxpayer)
}

// HasControl tells whether a text has characters that no header carries.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// IsVisible tells whether a text is of visible ASCII alone, as tokens are.
func IsVisible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func isSegment(s string) bool {
	return !strings.Contains(s, "..") && !strings.ContainsAny(s, `/\`) && !HasControl(s)
}

func isPath(s, placeholder string) bool {
	s = strings.ReplaceAll(s, placeholder, "")
	u, err := url.Parse(s)
	return err == nil && strings.HasPrefix(s, "/") && u.Host == "" && !strings.ContainsAny(s, "{}")
}
