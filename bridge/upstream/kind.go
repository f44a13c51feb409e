package upstream

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"einvoice-bridge/bridge"
)

// Kind is one sort of e-invoice API: what stands in the configuration for it, and the adapter that is made of that.
type Kind struct {
	Name string
	// Settings makes a kind's configuration struct, filled with its defaults, and returns a pointer to it.
	Settings func() any
	// Addresses are where calls go by such settings: the keys that have the rule "address".
	Addresses func(settings any) map[string]string
	// New makes one taxpayer's adapter from settings as Settings makes them. They are not changed.
	New func(name, taxpayer string, settings any, shared *Shared) (bridge.Upstream, error)
}

// KindOf makes a Kind of an adapter's configuration struct, which embeds Settings, and its constructor. The struct's
// tags are all there is to say of a key, and what the loader, the schema, the tables of keys and check's texts are made from:
//
//   - yaml: its name; "-" for what is no key;
//   - validate: its rules, see Check;
//   - default: the value of a key that isn't written;
//   - doc: what it is. The first sentence also stands in a complaint that it is missing;
//   - example: a value, where the description doesn't show one.
//
// A value that no output may show is a bridge.Secret.
func KindOf[C any, A bridge.Upstream](name string, construct func(C, *Shared) (A, error)) Kind {
	return Kind{
		Name: name,
		Settings: func() any {
			c := new(C)
			fill(reflect.ValueOf(c).Elem())
			return c
		},
		Addresses: addressesIn(reflect.TypeFor[C]()),
		New: func(upstream, taxpayer string, settings any, shared *Shared) (bridge.Upstream, error) {
			c := *settings.(*C)
			s := Common(&c)
			s.Name, s.Taxpayer = upstream, taxpayer
			a, err := construct(c, shared.For(upstream))
			if err != nil {
				return nil, err
			}
			return a, nil
		},
	}
}

// Common are the settings that every kind has, of a pointer to a kind's configuration struct.
func Common(settings any) *Settings { return settings.(interface{ common() *Settings }).common() }

func (s *Settings) common() *Settings { return s }

// addressesIn makes Addresses of a Kind.
func addressesIn(t reflect.Type) func(any) map[string]string {
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if slices.Contains(strings.Split(f.Tag.Get("validate"), ","), "address") {
			fields = append(fields, f)
		}
	}
	return func(settings any) map[string]string {
		all := map[string]string{}
		for _, f := range fields {
			if address := reflect.ValueOf(settings).Elem().FieldByIndex(f.Index).String(); address != "" {
				all[keyName(f)] = address
			}
		}
		return all
	}
}

// Prepare is for constructors: it fills in the defaults of a configuration struct and names everything that its tags
// have against it, by key and without any value that could be secret.
func Prepare(settings any) error {
	s := Common(settings)
	s.Taxpayer = strings.ToUpper(strings.TrimSpace(s.Taxpayer))
	fill(reflect.ValueOf(settings).Elem())
	missing, wrong := Check(settings)
	var all []error
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		all = append(all, errors.New(key+" is missing"+missing[key]))
	}
	for _, key := range slices.Sorted(maps.Keys(wrong)) {
		all = append(all, errors.New(key+" "+wrong[key]))
	}
	return errors.Join(all...)
}

// fill gives every field that is empty the value of its default tag.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f, text := v.Field(i), v.Type().Field(i).Tag.Get("default")
		switch {
		case v.Type().Field(i).Anonymous:
			fill(f)
		case text == "" || !f.IsZero():
		default:
			if err := set(f, text); err != nil {
				panic(fmt.Sprintf("default of %s: %v", v.Type().Field(i).Name, err)) // a misspelt tag of our own
			}
		}
	}
}

func set(f reflect.Value, text string) error {
	if u, ok := f.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if f.Kind() == reflect.Int {
		n, err := strconv.Atoi(text)
		f.SetInt(int64(n))
		return err
	}
	f.SetString(text)
	return nil
}
