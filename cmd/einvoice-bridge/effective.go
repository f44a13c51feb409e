package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"einvoice-bridge/bridge/config"
	"einvoice-bridge/bridge/console"
)

// effective is the configuration as it works, line by line, for the console. Of what may hold a secret only the fact
// shows that it is there: static headers and query values can be keys, an address can be a capability.
func effective(f *config.File) (all []console.Setting) {
	lines := described(f)
	for _, l := range lines[:min(len(lines), mostSettings)] {
		all = append(all, l.Setting)
	}
	if n := len(lines) - mostSettings; n > 0 {
		all = append(all, console.Setting{Path: "…", Value: fmt.Sprintf("%d more", n)})
	}
	return all
}

// described is every setting that is not empty.
func described(f *config.File) []line {
	d := describer{upstreams: f.Upstreams}
	d.value("", reflect.ValueOf(*f))
	return d.lines
}

// line is a setting as it is shown, and as it is: that is only for comparing, and shown nowhere.
type line struct {
	console.Setting
	bare   string
	secret bool
}

// mostSettings bounds the page: there may be thousands of taxpayers.
const mostSettings = 2000

type describer struct {
	upstreams map[string]config.Upstream
	lines     []line
}

// hiddenKeys are settings whose values are not shown, wherever they stand.
var hiddenKeys = []string{"headers", "call_headers", "query", "tokens", "webhook"}

func (d *describer) add(path, value string) {
	d.lines = append(d.lines, line{console.Setting{Path: path, Value: value}, value, false})
}

// hide adds what is not shown.
func (d *describer) hide(path, instead string, v reflect.Value) {
	d.lines = append(d.lines, line{console.Setting{Path: path, Value: instead}, bare(v), true})
}

// bare is a value spelt out, secrets too.
func bare(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice:
		all := make([]string, v.Len())
		for i := range all {
			all[i] = bare(v.Index(i))
		}
		return strings.Join(all, ",")
	case reflect.Map:
		var all []string
		for k, e := range v.Seq2() {
			all = append(all, bare(k)+":"+bare(e))
		}
		slices.Sort(all)
		return strings.Join(all, ",")
	}
	panic("bare: no secret is a " + v.Kind().String())
}

func (d *describer) value(path string, v reflect.Value) {
	switch x := v.Interface().(type) {
	case config.Secret:
		if x != "" {
			d.hide(path, "(hidden)", v)
		}
		return
	case config.Duration:
		switch days := x.D() / (24 * time.Hour); {
		case x == 0:
		case x.D() == days*24*time.Hour:
			d.add(path, fmt.Sprintf("%dd", days))
		default:
			d.add(path, x.D().String())
		}
		return
	case config.Names:
		if x.All {
			d.add(path, "all")
		} else {
			d.add(path, strings.Join(x.List, ", "))
		}
		return
	case config.Taxpayer:
		d.taxpayer(path, x)
		return
	}
	switch {
	case v.IsZero():
	case hidden(path):
		d.hide(path, fmt.Sprintf("(%s hidden)", counted(v)), v)
	case v.Kind() == reflect.Pointer:
		d.value(path, v.Elem())
	case v.Kind() == reflect.Struct:
		d.fields(path, v)
	case v.Kind() == reflect.Map:
		d.entries(path, v)
	case v.Kind() == reflect.Slice:
		d.items(path, v)
	default:
		text := fmt.Sprint(v.Interface())
		d.lines = append(d.lines, line{console.Setting{Path: path, Value: shown(path, text)}, text, false})
	}
}

func (d *describer) fields(path string, v reflect.Value) {
	for i := range v.NumField() {
		name, opt, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name != "" && opt == "" {
			d.value(under(path, name), v.Field(i))
		}
	}
}

// taxpayer shows what a taxpayer's settings have beside its upstream's.
func (d *describer) taxpayer(path string, t config.Taxpayer) {
	d.add(under(path, "upstream"), t.Upstream)
	own, base := reflect.ValueOf(&t.Settings).Elem(), reflect.ValueOf(d.upstreams[t.Upstream])
	for i := range own.NumField() {
		if reflect.DeepEqual(own.Field(i).Interface(), base.Field(i).Interface()) {
			own.Field(i).SetZero()
		}
	}
	d.fields(path, own)
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
		d.add(path, strings.Join(v.Convert(reflect.TypeFor[[]string]()).Interface().([]string), ", "))
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

func hidden(path string) bool {
	return slices.Contains(hiddenKeys, path[strings.LastIndexByte(path, '.')+1:])
}

func counted(v reflect.Value) string {
	if v.Kind() == reflect.Map || v.Kind() == reflect.Slice {
		return fmt.Sprint(v.Len())
	}
	return "set,"
}

// shown shortens certificates and saved files, and takes out of addresses what lets somebody in.
func shown(path, s string) string {
	switch {
	case strings.Contains(s, "\n"), len(s) > 300:
		return fmt.Sprintf("(%d bytes)", len(s))
	case path == "traces.otlp":
		return origin(s)
	}
	return address(s)
}
