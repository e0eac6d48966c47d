package jws

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth bounds how deep the JSON of a token may be nested.
const maxDepth = 32

// ObjectOf reads a JSON object (RFC 8259) as encoding/json does, and more
// strictly: nothing may stand before it and only blanks behind it; it must be
// UTF-8; no name may occur twice in an object, at any depth. Numbers are
// json.Number.
func ObjectOf(b []byte) (object map[string]any, ok bool) {
	if len(b) == 0 || b[0] != '{' || !utf8.Valid(b) {
		return nil, false
	}
	r := reader{text: string(b)} // what is read are parts of this one copy
	object, ok = r.object(1)
	r.blanks()
	if !ok || r.at != len(r.text) {
		return nil, false
	}
	return object, true
}

// reader reads JSON in one pass. encoding/json takes three, and keeps the last
// of two members of one name.
type reader struct {
	text string
	at   int
}

// peek returns the next byte, or 0 at the end: no JSON has that outside of an error.
func (r *reader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) blanks() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// take passes over blanks and then one byte, if it is this one.
func (r *reader) take(c byte) bool {
	r.blanks()
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) value(depth int) (any, bool) {
	r.blanks()
	switch r.peek() {
	case '{':
		return r.object(depth + 1)
	case '[':
		return r.array(depth + 1)
	case '"':
		return r.string()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	}
	return r.number()
}

func (r *reader) word(word string) bool {
	ok := strings.HasPrefix(r.text[r.at:], word)
	r.at += len(word)
	return ok
}

func (r *reader) object(depth int) (map[string]any, bool) {
	object := map[string]any{}
	if depth > maxDepth || !r.take('{') {
		return nil, false
	}
	if r.take('}') {
		return object, true
	}
	for {
		r.blanks()
		name, ok := r.string()
		if _, twice := object[name]; !ok || twice || !r.take(':') {
			return nil, false
		}
		if object[name], ok = r.value(depth); !ok {
			return nil, false
		}
		if !r.take(',') {
			return object, r.take('}')
		}
	}
}

func (r *reader) array(depth int) ([]any, bool) {
	array := []any{}
	if depth > maxDepth || !r.take('[') {
		return nil, false
	}
	if r.take(']') {
		return array, true
	}
	for {
		item, ok := r.value(depth)
		if !ok {
			return nil, false
		}
		array = append(array, item)
		if !r.take(',') {
			return array, r.take(']')
		}
	}
}

func (r *reader) string() (string, bool) {
	begin, escaped := r.at, false
	if r.peek() != '"' {
		return "", false
	}
	for r.at++; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c < ' ':
			return "", false
		case c == '\\':
			escaped = true
			r.at++
		case c == '"':
			r.at++
			if literal := r.text[begin:r.at]; escaped {
				return unescape(literal)
			}
			return r.text[begin+1 : r.at-1], true
		}
	}
	return "", false
}

// unescape leaves the rare string with escapes to the library.
func unescape(literal string) (s string, ok bool) {
	err := json.Unmarshal([]byte(literal), &s)
	return s, err == nil
}

func (r *reader) number() (json.Number, bool) {
	begin := r.at
	if r.peek() == '-' {
		r.at++
	}
	if r.peek() == '0' {
		r.at++
	} else if !r.digits() {
		return "", false
	}
	if r.peek() == '.' {
		r.at++
		if !r.digits() {
			return "", false
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		if !r.digits() {
			return "", false
		}
	}
	return json.Number(r.text[begin:r.at]), true
}

// digits passes over digits, at least one.
func (r *reader) digits() bool {
	begin := r.at
	for c := r.peek(); '0' <= c && c <= '9'; c = r.peek() {
		r.at++
	}
	return r.at > begin
}

// ID reads an id that may be text or a number: text that is not empty, or a whole
// number in the one spelling that it has.
func ID(value any) (id string, ok bool) {
	switch value := value.(type) {
	case string:
		return value, value != ""
	case json.Number:
		n, err := strconv.ParseInt(value.String(), 10, 64)
		return value.String(), err == nil && strconv.FormatInt(n, 10) == value.String()
	}
	return "", false
}

// maxNumericDate is the last second of the year 9999, beyond which time.Time has no RFC 3339 form.
const maxNumericDate = 253402300799

// NumericDate reads a time of a token (RFC 7519 §2), which may have a fraction.
func NumericDate(value any) (t time.Time, ok bool) {
	number, ok := value.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := number.Float64()
	if err != nil || math.Abs(f) > maxNumericDate {
		return time.Time{}, false
	}
	seconds, fraction := math.Modf(f)
	return time.Unix(int64(seconds), int64(fraction*1e9)).UTC(), true
}
