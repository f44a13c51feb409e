package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"einvoice-bridge/bridge"
)

// Effective is the configuration as it works, line by line, for the bridge. Of what may hold a secret only the fact
// shows that it is there: static headers and query values can be keys, an address can be a capability.
func (f *File) Effective() (all []bridge.Setting) {
	lines := described(f)
	for _, l := range lines[:min(len(lines), mostSettings)] {
		all = append(all, l.Setting)
	}
	if n := len(lines) - mostSettings; n > 0 {
		all = append(all, bridge.Setting{Path: "…", Value: fmt.Sprintf("%d more", n)})
	}
	return all
}

// described is every setting that is not empty.
func described(f *File) []line {
	d := describer{upstreams: f.Upstreams}
	d.value("", reflect.ValueOf(*f))
	return d.lines
}

// line is a setting as it is shown, and as it is: that is only for comparing, and shown nowhere.
type line struct {
	bridge.Setting
	exact  string
	secret bool
}

// mostSettings bounds the page: there may be thousands of taxpayers.
const mostSettings = 2000

type describer struct {
	upstreams map[string]Upstream
	about     string // what the key at hand is
	lines     []line
}

func (d *describer) add(path, value, exact string, secret bool) {
	d.lines = append(d.lines, line{bridge.Setting{Path: path, Value: value, About: d.about}, exact, secret})
}

// exact is a value spelt out, secrets too.
func exact(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice:
		all := make([]string, v.Len())
		for i := range all {
			all[i] = exact(v.Index(i))
		}
		return strings.Join(all, ",")
	case reflect.Map:
		var all []string
		for k, e := range v.Seq2() {
			all = append(all, exact(k)+":"+exact(e))
		}
		slices.Sort(all)
		return strings.Join(all, ",")
	}
	panic("exact: no secret is a " + v.Kind().String())
}

func (d *describer) value(path string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case bridge.Secret:
		d.add(path, "(hidden)", exact(v), true)
	case []bridge.Secret, map[string]bridge.Secret:
		d.add(path, fmt.Sprintf("(%d hidden)", v.Len()), exact(v), true)
	case bridge.Duration:
		d.add(path, x.String(), x.String(), false)
	case Names:
		text := strings.Join(x.List, ", ")
		if x.All {
			text = "all"
		}
		d.add(path, text, text, false)
	case Understood:
		text := strings.Join(x.List, ", ")
		if x.Any {
			text = "any"
		}
		d.add(path, text, text, false)
	case Upstream:
		d.value(path, reflect.ValueOf(x.Settings))
	case Taxpayer:
		d.taxpayer(path, x)
	default:
		d.other(path, v)
	}
}

func (d *describer) other(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		d.value(path, v.Elem())
	case reflect.Struct:
		d.fields(path, v)
	case reflect.Map:
		d.entries(path, v)
	case reflect.Slice:
		d.items(path, v)
	default:
		text := fmt.Sprint(v.Interface())
		d.add(path, shown(path, text), text, false)
	}
}

func (d *describer) fields(path string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch name, opt, _ := strings.Cut(f.Tag.Get("yaml"), ","); {
		case opt == "inline":
			d.fields(path, v.Field(i))
		case name != "" && name != "-":
			d.about = f.Tag.Get("doc")
			d.value(under(path, name), v.Field(i))
		}
	}
}

// taxpayer shows what a taxpayer's settings have beside its upstream's.
func (d *describer) taxpayer(path string, t Taxpayer) {
	d.fields(path, reflect.ValueOf(t))
	settings := reflect.ValueOf(t.Settings).Elem()
	own := reflect.New(settings.Type()).Elem()
	own.Set(settings)
	blank(own, reflect.ValueOf(d.upstreams[t.Upstream].Settings).Elem())
	d.fields(path, own)
}

// blank empties the fields that are as in another struct.
func blank(v, as reflect.Value) {
	for i := range v.NumField() {
		switch {
		case v.Type().Field(i).Anonymous:
			blank(v.Field(i), as.Field(i))
		case reflect.DeepEqual(v.Field(i).Interface(), as.Field(i).Interface()):
			v.Field(i).SetZero()
		}
	}
}

func (d *describer) entries(path string, v reflect.Value) {
	by := map[string]reflect.Value{}
	for k, e := range v.Seq2() {
		by[k.String()] = e
	}
	for _, k := range slices.Sorted(maps.Keys(by)) {
		d.value(under(path, k), by[k])
	}
}

func (d *describer) items(path string, v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.String {
		text := strings.Join(v.Interface().([]string), ", ")
		d.add(path, text, text, false)
		return
	}
	for i := range v.Len() {
		d.value(under(path, fmt.Sprint(i)), v.Index(i))
	}
}

func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// shown shortens certificates and saved files, and takes out of addresses what lets somebody in.
func shown(path, s string) string {
	switch {
	case strings.Contains(s, "\n"), len(s) > 300:
		return fmt.Sprintf("(%d bytes)", len(s))
	case path == "traces.otlp":
		return origin(s)
	}
	return WithoutSecrets(s)
}
