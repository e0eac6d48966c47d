package jws

import (
	"encoding/base64"
	"strings"
)

// Compact is a JWS in compact serialization (RFC 7515 §7.1), taken apart.
// Nothing in it is to be believed yet.
type Compact struct {
	Header, Payload string // as they are in the token
	Signed          string // both, with the dot between them
	Signature       []byte
}

// Split takes a token apart that is no longer than limit bytes. ok is false
// where it is none.
func Split(token string, limit int) (c Compact, ok bool) {
	// The decoder below passes over line breaks, which would give one token many spellings.
	if len(token) > limit || strings.ContainsAny(token, "\r\n") {
		return Compact{}, false
	}
	first, last := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	if first < 0 || first == last || strings.IndexByte(token[first+1:last], '.') >= 0 {
		return Compact{}, false
	}
	signature, ok := decode(token[last+1:])
	if !ok {
		return Compact{}, false
	}
	return Compact{Header: token[:first], Payload: token[first+1 : last], Signed: token[:last], Signature: signature}, true
}

// decode decodes base64url without padding; trailing bits that are not zero are refused, so that there is one spelling
// only (RFC 4648 §3.5).
func decode(segment string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(segment)
	return b, err == nil
}

// Object reads a segment that holds a JSON object, as ObjectOf does.
func Object(segment string) (object map[string]any, ok bool) {
	b, ok := decode(segment)
	if !ok {
		return nil, false
	}
	return ObjectOf(b)
}

// untrusted are the header parameters that let the sender choose the key or the
// rules: a key of his own, or its address (RFC 7515 §4.1.2 to §4.1.6), and what
// must be understood (§4.1.11, RFC 7797 §6).
var untrusted = [...]string{"crit", "jwk", "jku", "x5u", "x5c", "b64"}

// IsPlain reports whether a header has none of the parameters that make a
// verifier believe its sender.
func IsPlain(header map[string]any) bool {
	for _, name := range untrusted {
		if _, there := header[name]; there {
			return false
		}
	}
	return true
}
