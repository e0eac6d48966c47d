package claims

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes bounds a claim's name, which every token carries.
const maxNameBytes = 128

// reservedNames are the claims that the token service writes itself, and the
// parameters of a token's header: a verifier that mixes them up must not find
// them among the claims.
var reservedNames = [...]string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "token_type",
	"alg", "kid", "typ", "cty", "crit", "b64", "enc", "zip", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256",
}

// names is which claims may still be written. All in it are folded.
type names struct{ reserved, taken map[string]bool }

func newNames(userIDClaim string) names {
	if userIDClaim == "" {
		userIDClaim = "user_id"
	}
	n := names{reserved: map[string]bool{fold(userIDClaim): true}, taken: map[string]bool{}}
	for _, name := range reservedNames {
		n.reserved[fold(name)] = true
	}
	return n
}

// check refuses what no claim may be named.
func (n *names) check(name string) error {
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ErrName
	}
	if n.reserved[fold(name)] {
		return ErrReserved
	}
	return nil
}

// take checks a name and lets nobody else have it.
func (n *names) take(name string) error {
	if err := n.check(name); err != nil {
		return err
	}
	if n.taken[fold(name)] {
		return ErrDuplicate
	}
	n.taken[fold(name)] = true
	return nil
}

// letters are the characters whose full case folding is more than one letter of ASCII.
var letters = strings.NewReplacer("ß", "ss", "ẞ", "ss", "ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st")

// fold makes one of all spellings of a name that some reader may take for the
// same: by simple folding (ſ is s, the Kelvin sign is k), and by full folding
// where it ends in ASCII.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return unicode.ToLower(least)
	}, letters.Replace(name))
}
