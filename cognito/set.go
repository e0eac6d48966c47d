package cognito

import (
	"context"
	"errors"
	"fmt"
)

// Set is the verifiers of several pools. It is safe for concurrent use.
type Set struct {
	all      []*Verifier
	byIssuer map[string]*Verifier
}

// NewSet joins verifiers. Two of one name, or of one issuer, are an error: which
// of them should a token go to?
func NewSet(verifiers ...*Verifier) (*Set, error) {
	s := &Set{all: verifiers, byIssuer: map[string]*Verifier{}}
	names := map[string]bool{}
	for _, v := range verifiers {
		if names[v.config.Name] {
			return nil, fmt.Errorf("cognito: the name %q is given twice", v.config.Name)
		}
		names[v.config.Name] = true
		for _, issuer := range v.issuers {
			if s.byIssuer[issuer] != nil {
				return nil, fmt.Errorf("cognito: the issuer %q is given twice; one pool takes several clients", issuer)
			}
			s.byIssuer[issuer] = v
		}
	}
	return s, nil
}

// VerifyPair verifies a pair with the pool that its ID token names. What the
// token says there is not believed: that pool alone then verifies it.
func (s *Set) VerifyPair(ctx context.Context, p Pair) (Identity, error) {
	id, v, err := s.issuer(p.IDToken)
	if err != nil {
		return Identity{}, fmt.Errorf("%s: %w", ofID, err)
	}
	return v.verifyPair(ctx, p, id)
}

// Issuer returns the verifier of the provider that a token says it is of, which
// is not to be believed before that verifier has verified it.
func (s *Set) Issuer(token string) (*Verifier, error) {
	_, v, err := s.issuer(token)
	return v, err
}

func (s *Set) issuer(raw string) (token, *Verifier, error) {
	t, err := parse(raw)
	if err != nil {
		return token{}, nil, err
	}
	v := s.byIssuer[t.text("iss")]
	if v == nil {
		return token{}, nil, ErrIssuer
	}
	return t, v, nil
}

// Run keeps the keys of all pools fresh until the context ends.
func (s *Set) Run(ctx context.Context) error {
	var runs []func(context.Context) error
	for _, v := range s.all {
		runs = append(runs, v.Run)
	}
	return runAll(ctx, runs)
}

// runAll runs all at once until every one has returned.
func runAll(ctx context.Context, runs []func(context.Context) error) error {
	done := make(chan error, len(runs))
	for _, run := range runs {
		go func() { done <- run(ctx) }()
	}
	var err error
	for range runs {
		err = errors.Join(err, <-done)
	}
	return err
}
