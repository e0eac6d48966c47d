package verify

import (
	"encoding/json"
	"reflect"
	"strings"
)

// exactly returns of a decoded JSON value what encoding/json would give to
// fields of exactly its names: the library takes "ROLE" for a field "role" too,
// and of two such members the last.
func exactly(value, into any) any { return keep(value, reflect.TypeOf(into)) }

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

func keep(value any, into reflect.Type) any {
	for into != nil && into.Kind() == reflect.Pointer && !into.Implements(unmarshaler) {
		into = into.Elem()
	}
	if into == nil || into.Implements(unmarshaler) || reflect.PointerTo(into).Implements(unmarshaler) {
		return value // it reads as it likes
	}
	switch value := value.(type) {
	case map[string]any:
		return keepMembers(value, into)
	case []any:
		if kind := into.Kind(); kind != reflect.Slice && kind != reflect.Array {
			return value
		}
		kept := make([]any, len(value))
		for i, item := range value {
			kept[i] = keep(item, into.Elem())
		}
		return kept
	}
	return value
}

func keepMembers(members map[string]any, into reflect.Type) any {
	kept := make(map[string]any, len(members))
	switch into.Kind() {
	case reflect.Map:
		for name, member := range members {
			kept[name] = keep(member, into.Elem())
		}
	case reflect.Struct:
		for name, field := range fieldsOf(into) {
			if member, there := members[name]; there && field.kind != nil {
				kept[name] = keep(member, field.kind)
			}
		}
	default:
		return members
	}
	return kept
}

type field struct {
	kind   reflect.Type // nil: of several that rule each other out
	tagged bool
}

// fieldsOf returns the fields that encoding/json fills, by its names for them:
// those of embedded structs too. Of one name the least deeply embedded counts, of
// those that with a tag, and where there are several, none.
func fieldsOf(into reflect.Type) map[string]field {
	fields, seen := map[string]field{}, map[reflect.Type]bool{}
	for level := []reflect.Type{into}; len(level) > 0; {
		here, embedded := map[string]field{}, []reflect.Type{}
		for _, t := range level {
			if !seen[t] {
				embedded = append(embedded, addFields(here, t)...)
			}
		}
		for name, f := range here {
			if _, above := fields[name]; !above {
				fields[name] = f
			}
		}
		for _, t := range level {
			seen[t] = true
		}
		level = embedded
	}
	return fields
}

// addFields adds a struct's own fields, and returns the structs that are embedded in it.
func addFields(fields map[string]field, into reflect.Type) (embedded []reflect.Type) {
	for i := range into.NumField() {
		f := into.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		inner := f.Type
		if inner.Kind() == reflect.Pointer && inner.Name() == "" {
			inner = inner.Elem()
		}
		isStruct := f.Anonymous && inner.Kind() == reflect.Struct
		switch {
		case tag == "-", !f.IsExported() && !isStruct:
			continue
		case isStruct && name == "":
			embedded = append(embedded, inner)
			continue
		}
		tagged := name != ""
		if !tagged {
			name = f.Name
		}
		switch other, there := fields[name]; {
		case !there, tagged && !other.tagged:
			fields[name] = field{f.Type, tagged}
		case tagged == other.tagged:
			fields[name] = field{nil, tagged}
		}
	}
	return embedded
}
