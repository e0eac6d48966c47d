package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Rule says what one claim holds. Exactly one of Attribute, Expression and
// Webhook is given.
type Rule struct {
	Name       string // of the claim
	Attribute  string // a column of the user ("is_staff"), or a path into its attributes ("attributes.plan.name")
	Expression string // CEL, over `user` and `session`
	Webhook    string // the URL of one of Config.Webhooks
	// Default is JSON: it stands where the user has not the attribute (or has null), where the expression comes to
	// nothing or fails, and where the webhook fails. Nil: none; see Evaluate.
	Default json.RawMessage
}

// Config is the rules of one installation.
type Config struct {
	Rules           []Rule           // in the order in which they are evaluated
	Webhooks        []Webhook        // those that rules name
	Function        Func             // gives further claims; nil: none
	FunctionTimeout time.Duration    // zero: 3 seconds
	UserIDClaim     string           // the user-id claim of the token service, reserved too; empty: "user_id"
	Now             func() time.Time // nil: time.Now
	Logger          *slog.Logger     // is told when a default stands for a failure; nil: nobody is
}

// Set is a checked list of rules. It is safe for concurrent use.
type Set struct {
	local   []rule   // attributes and expressions
	remotes []remote // webhooks and the function
	asked   []counts // of remotes, in their order
	names   names
	mayFail bool
	logger  *slog.Logger
}

// rule is a Rule that New has checked.
type rule struct {
	name        string
	from        string // in words
	source      source // nil: a webhook's answer
	fallback    any
	hasFallback bool
}

// source gives a claim's value and asks nobody outside.
type source interface {
	// value returns errAbsent where the user has no such claim.
	value(ctx context.Context, s *subject) (any, error)
}

// remote gives several claims, and may wait for others.
type remote interface {
	ask(ctx context.Context, s *subject) (map[string]any, error)
	asked() []rule // what it must answer; nil: it decides itself
	from() string  // in words
}

// New checks the rules, compiles the expressions and reports every fault. It
// does no I/O. Names are compared without regard to case: some readers of JSON
// do so too. No rules are a valid set.
func New(c Config) (*Set, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	set := &Set{names: newNames(c.UserIDClaim), logger: c.Logger}
	hooks, errs := newWebhooks(c, &set.names)
	var cel compiler
	for i, r := range c.Rules {
		if err := set.add(r, hooks, &cel); err != nil {
			errs = append(errs, fmt.Errorf("rule %d (%q): %w", i+1, r.Name, err))
		}
	}
	for _, h := range hooks {
		if len(h.rules) > 0 {
			set.remotes = append(set.remotes, h)
		}
	}
	if c.Function != nil {
		set.remotes = append(set.remotes, newFunction(c, &set.names))
	}
	set.asked = make([]counts, len(set.remotes))
	set.mayFail = set.mayFail || len(set.remotes) > 0
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return set, nil
}

// add checks one rule and puts it where it belongs.
func (s *Set) add(r Rule, hooks []*webhook, cel *compiler) error {
	if err := s.names.take(r.Name); err != nil {
		return err
	}
	checked := rule{name: r.Name, hasFallback: r.Default != nil}
	if checked.hasFallback {
		var err error
		if checked.fallback, err = decodeValue(r.Default); err != nil {
			return fmt.Errorf("the default: %w", err)
		}
	}
	switch {
	case r.Attribute != "" && r.Expression == "" && r.Webhook == "":
		checked.from = "attribute " + r.Attribute
		source, err := newAttribute(r.Attribute)
		if err != nil {
			return err
		}
		checked.source = source
	case r.Expression != "" && r.Attribute == "" && r.Webhook == "":
		checked.from = "expression"
		source, err := cel.compile(r.Expression)
		if err != nil {
			return err
		}
		checked.source = source
		s.mayFail = true
	case r.Webhook != "" && r.Attribute == "" && r.Expression == "":
		for _, h := range hooks {
			if h.URL == r.Webhook {
				checked.from = h.from()
				h.rules = append(h.rules, checked)
				return nil
			}
		}
		return fmt.Errorf("%w: no webhook has this URL", ErrWebhook)
	default:
		return ErrKind
	}
	s.local = append(s.local, checked)
	return nil
}

// None reports whether there are no rules: Evaluate returns no claims then.
func (s *Set) None() bool { return len(s.local)+len(s.remotes) == 0 }

// MayFail reports whether Evaluate can fail for other reasons than that a
// user's attributes are broken: because others are asked, or by an expression.
// Who changes something for a token does so after such an evaluation.
func (s *Set) MayFail() bool { return s.mayFail }

// Defaults returns the claims that are in each token of this set, with their
// defaults or null for values. It is what can be known of a token's size before
// there is a user.
func (s *Set) Defaults() map[string]any {
	claims := map[string]any{}
	for _, r := range s.local {
		if _, maybeAbsent := r.source.(*expression); !maybeAbsent || r.hasFallback {
			claims[r.name] = r.fallback
		}
	}
	for _, remote := range s.remotes {
		for _, r := range remote.asked() {
			claims[r.name] = r.fallback
		}
	}
	return claims
}

// Evaluate returns the claims of a user. An attribute always gives a claim: its
// default, or null (nil), where the user has not the attribute. An expression
// that comes to nothing gives its default, or no claim. What fails gives the
// default too, where there is one; else all fails, and there are no claims.
//
// Values are what encoding/json decodes into, with numbers as json.Number, and
// times as text (RFC 3339, UTC). The caller may change the map but not what it
// holds.
//
// The errors are ErrUnavailable, where others did not answer as they should and
// a later try may succeed, and ErrEvaluation, ErrAttributes and ErrValue, which
// come again until somebody changes the user or the rules. None has a value of
// a user in its text.
func (s *Set) Evaluate(ctx context.Context, about Subject) (map[string]any, error) {
	if len(s.local)+len(s.remotes) == 0 {
		return map[string]any{}, nil
	}
	sub := &subject{Subject: about}
	claims := make(map[string]any, len(s.local))
	for i := range s.local {
		r := &s.local[i]
		v, fellBack, err := s.settle(ctx, r, sub)
		switch {
		case err == nil, fellBack:
			claims[r.name] = v
		case !errors.Is(err, errAbsent):
			return nil, err
		}
	}
	if len(s.remotes) == 0 {
		return claims, nil
	}
	if err := s.askAll(ctx, sub, claims); err != nil {
		return nil, err
	}
	return claims, nil
}

// settle evaluates a rule that asks nobody outside, and falls back to its
// default: with the error where it stands for a failure.
func (s *Set) settle(ctx context.Context, r *rule, sub *subject) (v any, fellBack bool, err error) {
	v, err = r.source.value(ctx, sub)
	if err == nil {
		if !readable(v, maxDepth) {
			err = fmt.Errorf("%w: it nests too deep, or has a number that no double holds", ErrValue)
		} else if v != nil || !r.hasFallback {
			return v, false, nil
		}
	}
	absent := errors.Is(err, errAbsent)
	switch {
	case !r.hasFallback && absent:
		return nil, false, errAbsent
	case !r.hasFallback:
		return nil, false, fmt.Errorf("claim %q: %w", r.name, err)
	case err == nil, absent:
		return r.fallback, true, nil
	}
	s.logger.WarnContext(ctx, "a claim's default stands for a failure", "claim", r.name, "error", err)
	return r.fallback, true, fmt.Errorf("claim %q: %w", r.name, err)
}
