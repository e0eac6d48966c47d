package tokens_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// AccessSize says of every algorithm what IssueAccess then makes.
func TestAccessSize(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{tokens.ES256, tokens.EdDSA, tokens.RS256, tokens.HS256} {
		for name, change := range map[string]func(*tokens.Config){
			"plain":         func(*tokens.Config) {},
			"two audiences": func(c *tokens.Config) { c.Audience = []string{"a", "bb"} },
			"a number":      func(c *tokens.Config) { c.UserIDType = tokens.UserIDNumber },
		} {
			s := service(t, algorithm(alg), change)
			subject := tokens.AccessSubject{UserID: "42", SessionID: "s-1", Custom: map[string]any{"plan": "pro", "n": []int{1, 2}}}
			size, err := s.AccessSize(subject)
			if err != nil {
				t.Fatal(err)
			}
			token, _, err := s.IssueAccess(subject, start, start.Add(time.Hour))
			if err != nil || len(token) != size {
				t.Errorf("%s, %s: said %d, made %d, %v", alg, name, size, len(token), err)
			}
		}
	}
}

func TestTooLargeError(t *testing.T) {
	t.Parallel()
	s := service(t, algorithm(tokens.HS256), func(c *tokens.Config) { c.MaxTokenBytes = 600 })
	subject := tokens.AccessSubject{UserID: "42", SessionID: "s-1", Custom: map[string]any{
		"d": "", "c": "secret-value", "b": strings.Repeat("secret-value", 30), "a": strings.Repeat("secret-value", 30),
	}}
	_, _, issued := s.IssueAccess(subject, start, start.Add(time.Hour))
	size, sized := s.AccessSize(subject)
	for _, err := range []error{issued, sized} {
		fault, ok := errors.AsType[*tokens.TooLargeError](err)
		if !ok || !errors.Is(err, tokens.ErrTooLarge) || fault.Bytes != size || fault.Budget != s.Budget() || len(fault.Claims) != 4 ||
			!strings.HasSuffix(err.Error(), `the budget is 600; the largest claims: "a" 367 bytes, "b" 367 bytes, "c" 19 bytes`) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := s.AccessSize(tokens.AccessSubject{UserID: "42", SessionID: "s-1", Custom: map[string]any{"crit": 1}}); !errors.Is(err, tokens.ErrReservedClaim) {
		t.Errorf("a reserved claim: %v", err)
	}
	if _, err := s.AccessSize(tokens.AccessSubject{UserID: "42", SessionID: "s-1", Custom: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a function has a size")
	}
}
