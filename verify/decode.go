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
		for _, field := range reflect.VisibleFields(into) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				name = field.Name
			}
			if member, there := members[name]; there {
				kept[name] = keep(member, field.Type)
			}
		}
	default:
		return members
	}
	return kept
}
