package claims

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes bounds a claim's name, which every token carries.
const maxNameBytes = 128

// What New refuses.
var (
	// ErrName says that a claim's name is empty, too long, or not printable text.
	ErrName = errors.New("claims: not a claim name")
	// ErrReserved says that a claim's name is one that the token service writes itself.
	ErrReserved = errors.New("claims: reserved claim name")
	// ErrDuplicate says that two rules write the same claim.
	ErrDuplicate = errors.New("claims: claim named twice")
	// ErrAttribute says that a rule asks for an attribute that no user can have.
	ErrAttribute = errors.New("claims: unknown attribute")
)

// ErrAttributes says that a user's attributes are not a JSON object.
var ErrAttributes = errors.New("claims: attributes are not a JSON object")

// Rule says what one claim holds.
type Rule struct {
	Name      string // of the claim
	Attribute string // a column of the user ("is_staff"), or a path into its attributes ("attributes.plan.name")
}

// Config is the rules of one installation.
type Config struct {
	Rules       []Rule // in the order in which they are evaluated
	UserIDClaim string // the user-id claim of the token service, reserved too; empty: "user_id"
}

// source is where a claim's value comes from: one implementation for each kind of rule.
type source interface {
	value(s *subject) (any, error)
}

// rule is a Rule that New has checked.
type rule struct {
	name   string
	source source
}

// Set is a checked list of rules. It is safe for concurrent use.
type Set struct{ rules []rule }

// New checks the rules and reports every fault. Names are compared without
// regard to case: some readers of JSON do so too. No rules are a valid set.
func New(c Config) (*Set, error) {
	if c.UserIDClaim == "" {
		c.UserIDClaim = "user_id"
	}
	set := &Set{}
	var errs []error
	for i, r := range c.Rules {
		source, err := compile(r)
		if err == nil {
			err = checkName(r.Name, c.UserIDClaim, set.rules)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %d (%q): %w", i+1, r.Name, err))
			continue
		}
		set.rules = append(set.rules, rule{r.Name, source})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return set, nil
}

// compile finds the kind of a rule.
func compile(r Rule) (source, error) {
	return newAttribute(r.Attribute)
}

func checkName(name, userIDClaim string, earlier []rule) error {
	if name == "" || len(name) > maxNameBytes || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ErrName
	}
	for _, r := range [...]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "token_type", userIDClaim} {
		if strings.EqualFold(name, r) {
			return ErrReserved
		}
	}
	for _, r := range earlier {
		if strings.EqualFold(name, r.name) {
			return ErrDuplicate
		}
	}
	return nil
}

// Evaluate returns the claims of a user. Every rule gives a claim: null (nil)
// where the user has not the attribute. Values are what encoding/json decodes
// into, with numbers as json.Number, and times as text (RFC 3339, UTC). The
// caller may change the map but not what it holds.
func (s *Set) Evaluate(u User) (map[string]any, error) {
	claims := make(map[string]any, len(s.rules))
	about := &subject{user: u}
	for _, r := range s.rules {
		v, err := r.source.value(about)
		if err != nil {
			return nil, fmt.Errorf("claim %q: %w", r.name, err)
		}
		claims[r.name] = v
	}
	return claims, nil
}
