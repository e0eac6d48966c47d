package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep the JSON of a token may be nested.
const maxDepth = 32

// compact is a JWS in compact serialization (RFC 7515 §7.1), taken apart. Nothing in it is to be believed yet.
type compact struct {
	header, payload string // as they are in the token
	signed          string // both, with the dot between them
	signature       []byte
}

// split takes a token apart.
func split(token string, limit int) (compact, error) {
	// The decoder below passes over line breaks, which would give one token many spellings.
	if len(token) > limit || strings.ContainsAny(token, "\r\n") {
		return compact{}, ErrMalformed
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	if first < 0 || first == last || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return compact{}, ErrMalformed
	}
	signature, err := decodeSegment(token[last+1:])
	return compact{
		header: token[:first], payload: token[first+1 : last], signed: token[:last], signature: signature,
	}, err
}

// decodeSegment decodes base64url without padding; trailing bits that are not zero are refused, so that there is one
// spelling only (RFC 4648 §3.5).
func decodeSegment(segment string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	if err != nil {
		return nil, ErrMalformed
	}
	return b, nil
}

// decodeObject decodes a segment that holds a JSON object. Numbers stay json.Number; names are compared exactly, and
// none may occur twice in an object, at any depth (RFC 8725 §2.4).
func decodeObject(segment string) (map[string]any, error) {
	b, err := decodeSegment(segment)
	if err != nil {
		return nil, err
	}
	colons, ok := scanObject(b)
	if !ok || !utf8.Valid(b) {
		return nil, ErrMalformed
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, ErrMalformed
	}
	// Each member is written with one colon. Where more colons were read than members came of it, a name was there
	// twice and the decoder kept the last.
	if countMembers(object) != colons {
		return nil, ErrMalformed
	}
	return object, nil
}

// scanObject counts the colons outside of strings, and reports whether b is an object from its first byte to its last
// and nested no deeper than allowed. Whether it is valid JSON is left to the decoder.
func scanObject(b []byte) (colons int, ok bool) {
	if len(b) == 0 || b[0] != '{' {
		return 0, false
	}
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			inString = !inString
		case inString:
			if c == '\\' {
				i++
			}
		case c == ':':
			colons++
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return 0, false
			}
		case c == '}' || c == ']':
			if depth--; depth <= 0 {
				return colons, depth == 0 && i == len(b)-1
			}
		}
	}
	return 0, false
}

// countMembers counts the members of all objects in v.
func countMembers(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, member := range v {
			n += countMembers(member)
		}
	case []any:
		for _, element := range v {
			n += countMembers(element)
		}
	}
	return n
}
