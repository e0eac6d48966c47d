package tokens_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

func TestRotateFails(t *testing.T) {
	t.Parallel()
	if _, err := service(t, algorithm(tokens.HS256)).Rotate(t.Context(), false); err == nil {
		t.Error("HS256 has rotated")
	}
	keys, fault := &store{}, errors.New("a fault")
	s := service(t, func(c *tokens.Config) { c.Keys = keys })
	other, err := tokens.New(config(func(c *tokens.Config) { c.Keys, c.Secret = keys, otherSecret }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Rotate(t.Context(), false); !errors.Is(err, tokens.ErrSealed) || len(keys.keys) != 1 {
		t.Errorf("under another secret: %v, %d keys", err, len(keys.keys))
	}
	// Where there is no key yet, one signs at once.
	none := &store{}
	if first, err := tokens.New(config(func(c *tokens.Config) { c.Keys = none })); err != nil {
		t.Error(err)
	} else if _, err := first.Rotate(t.Context(), false); err != nil || len(none.keys) != 2 || !first.Ready() {
		t.Errorf("without a key: %v, %d keys", err, len(none.keys))
	}
	keys.makeErr = fault
	if _, err := s.Rotate(t.Context(), false); !errors.Is(err, fault) || len(keys.keys) != 1 {
		t.Errorf("%v, %d keys", err, len(keys.keys))
	}
}
