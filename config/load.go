package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// prefix begins the name of every variable of the environment that is ours.
const prefix = "GATEHOUSE_"

// LoadOptions says where settings come from.
type LoadOptions struct {
	Path    string   // of a YAML file; empty: none
	Environ []string // NAME=value, as os.Environ returns them

	// Development has the issuer, where none is given, be localhost at the port of
	// listen, where that has one.
	Development bool
}

// Load returns the defaults, changed by the file and then by the environment: a
// key a.b of the file is GATEHOUSE_A_B there, with lists as JSON. A variable
// that ends in _FILE, for a setting that may be secret, names a file with the
// value. Every mistake is reported, and none with a value that may be secret.
func Load(o LoadOptions) (Config, error) {
	c := Default()
	if o.Development {
		c.Issuer = ""
	}
	l := loader{settings: settingsOf(reflect.ValueOf(&c).Elem())}
	if o.Path != "" {
		l.file(o.Path, reflect.ValueOf(&c).Elem())
	}
	l.environment(o.Environ)
	if c.Issuer == "" && o.Development {
		c.Issuer = developmentIssuer(c.Listen)
	}
	return c, errors.Join(l.errs...)
}

// setting is one key that has a value.
type setting struct {
	key    string // a.b
	env    string
	value  reflect.Value
	secret bool // may be given by a file, and is never shown
	doc    string
}

// settingsOf returns the settings of a struct, in its order.
func settingsOf(v reflect.Value) []setting {
	return appendSettings(nil, "", v)
}

func appendSettings(all []setting, before string, v reflect.Value) []setting {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := before + field.Tag.Get("yaml")
		if field.Tag.Get("doc") == "" { // a section
			all = appendSettings(all, key+".", v.Field(i))
			continue
		}
		all = append(all, setting{
			key: key, env: prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")), value: v.Field(i),
			secret: field.Tag.Get("secret") != "", doc: field.Tag.Get("doc"),
		})
	}
	return all
}

// loader collects the mistakes.
type loader struct {
	settings []setting
	errs     []error
}

func (l *loader) fail(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("config: "+format, args...))
}

// file reads a YAML file into the configuration.
func (l *loader) file(path string, into reflect.Value) {
	raw, err := os.ReadFile(path)
	if err != nil {
		l.fail("reading the file: %w", err)
		return
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF): // an empty file
		return
	case err != nil:
		l.fail("%s is not YAML", path) // the decoder's text may quote a secret
		return
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		l.fail("%s holds more than one document", path)
	}
	l.section("", doc.Content[0], into)
}

// section writes a mapping into a struct.
func (l *loader) section(before string, node *yaml.Node, into reflect.Value) {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.MappingNode {
		l.fail("line %d: %s must be a mapping", node.Line, nameOf(strings.TrimSuffix(before, ".")))
		return
	}
	fields := map[string]int{}
	for i := range into.NumField() {
		fields[into.Type().Field(i).Tag.Get("yaml")] = i
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, known := fields[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			l.fail("line %d: a key must be text", key.Line)
		case !known:
			l.fail("line %d: unknown key %q%s", key.Line, before+key.Value, suggestion(key.Value, keysOf(fields)))
		case seen[key.Value]:
			l.fail("line %d: %s is given twice", key.Line, before+key.Value)
		default:
			seen[key.Value] = true
			l.value(before+key.Value, value, into.Field(field))
		}
	}
}

// value writes a node into a field.
func (l *loader) value(key string, node *yaml.Node, into reflect.Value) {
	if node.Kind == yaml.AliasNode {
		l.fail("line %d: %s: aliases are not taken", node.Line, key)
		return
	}
	switch {
	case isSection(into.Type()):
		l.section(key+".", node, into)
	case into.Kind() == reflect.Slice && isSection(into.Type().Elem()):
		if node.Kind != yaml.SequenceNode {
			l.fail("line %d: %s must be a list", node.Line, key)
			return
		}
		list := reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content))
		for i, item := range node.Content {
			l.section(fmt.Sprintf("%s[%d].", key, i), item, list.Index(i))
		}
		into.Set(list)
	case into.Type() == reflect.TypeFor[Value]():
		v, err := valueOf(node)
		if err != nil {
			l.fail("line %d: %s must be %s", node.Line, key, wanted(into.Type()))
			return
		}
		into.Set(reflect.ValueOf(v))
	default:
		fresh := reflect.New(into.Type())
		if !fits(node, into.Type()) || node.Decode(fresh.Interface()) != nil {
			l.fail("line %d: %s must be %s", node.Line, key, wanted(into.Type()))
			return
		}
		into.Set(fresh.Elem())
	}
}

// fits refuses what the decoder would take for a value without a word: nothing
// at all (which would switch off what it is given for), part of a number, and
// aliases within a list.
func fits(node *yaml.Node, t reflect.Type) bool {
	if t.Kind() == reflect.Slice {
		return !slices.ContainsFunc(node.Content, func(item *yaml.Node) bool { return !fits(item, t.Elem()) })
	}
	if t.Kind() == reflect.Map {
		return node.Kind == yaml.MappingNode && !slices.ContainsFunc(node.Content, func(item *yaml.Node) bool { return !fits(item, t.Elem()) })
	}
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		return false
	}
	switch t.Kind() {
	case reflect.Int, reflect.Uint8, reflect.Uint32:
		return node.Tag == "!!int"
	}
	return true
}

// environment writes the variables over what is there.
func (l *loader) environment(environ []string) {
	given := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, prefix) && !foreign(name) {
			given[name] = value
		}
	}
	for _, s := range l.settings {
		value, ok := given[s.env]
		path, byFile := given[s.env+"_FILE"]
		delete(given, s.env)
		if s.secret && byFile {
			delete(given, s.env+"_FILE")
			if ok {
				l.fail("%s and %s_FILE are both given", s.env, s.env)
				continue
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				l.fail("%s_FILE must name a file that can be read: %w", s.env, withoutPath(err))
				continue
			}
			value, ok = strings.TrimRight(string(raw), "\r\n"), true
		}
		if ok {
			l.variable(s, value)
		}
	}
	unknown := keysOf(given)
	slices.Sort(unknown)
	for _, name := range unknown {
		l.fail("unknown variable %s%s", name, suggestion(name, l.variables()))
	}
}

// variable writes the text of a variable into a setting.
func (l *loader) variable(s setting, text string) {
	if s.value.Kind() == reflect.String {
		s.value.SetString(text)
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) != 1 {
		l.fail("%s must be %s", s.env, wanted(s.value.Type()))
		return
	}
	before := len(l.errs)
	l.value(s.key, doc.Content[0], s.value)
	for i := before; i < len(l.errs); i++ {
		l.errs[i] = fmt.Errorf("%s: %w", s.env, l.errs[i])
	}
}

func (l *loader) variables() []string {
	names := []string{prefix + "CONFIG"}
	for _, s := range l.settings {
		names = append(names, s.env)
		if s.secret {
			names = append(names, s.env+"_FILE")
		}
	}
	return names
}

// withoutPath takes the path out of an error: who mistakes one variable for the
// other has put the secret there.
func withoutPath(err error) error {
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return fault.Err
	}
	return err
}

// foreign reports whether a variable begins like ours and is somebody else's:
// Kubernetes makes GATEHOUSE_PORT and its like for a service of that name.
func foreign(name string) bool {
	rest := strings.TrimPrefix(name, prefix)
	return rest == "CONFIG" || rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_") ||
		strings.HasPrefix(rest, "TEST_")
}
