package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"time"
)

// isSection reports whether a type is a struct of settings.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[netip.Prefix]() && t != reflect.TypeFor[Value]()
}

// wanted says in words what a value of a type looks like.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Value]():
		return "a value that JSON has"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration like 30s, 5m or 24h"
	case t == reflect.TypeFor[[]netip.Prefix]():
		return `a list of networks like ["10.0.0.0/8"]`
	case t == reflect.TypeFor[[]string]():
		return `a list of texts like ["a", "b"]`
	case t == reflect.TypeFor[Names]():
		return `the name of a claim, or a list of names like ["a", "b"]`
	case t.Kind() == reflect.Map:
		return `names and their claims, like {department: "custom:department"}`
	case t.Kind() == reflect.Slice:
		return "a list of objects"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "a whole number"
}

func nameOf(key string) string {
	if key == "" {
		return "the file"
	}
	return key
}

func keysOf[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// suggestion names the key that was probably meant, if one is near.
func suggestion(given string, known []string) string {
	best, nearest := "", 2+len(given)/3
	for _, key := range known {
		if d := distance(given, key); d < nearest || d == nearest && key < best {
			best, nearest = key, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is how many letters have to be changed, added or taken out to make
// one text the other (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
