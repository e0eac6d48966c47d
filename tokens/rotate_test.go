package tokens_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

// cache is a verifier that keeps a key set for its max-age.
type cache struct {
	keys  map[string]bool
	until time.Time
}

func (c *cache) knows(t *testing.T, s *tokens.Service, kid string, now time.Time) bool {
	t.Helper()
	if !now.Before(c.until) {
		body, _ := s.JWKS()
		var set struct {
			Keys []struct {
				KeyID string `json:"kid"`
			}
		}
		if err := json.Unmarshal(body, &set); err != nil {
			t.Fatal(err)
		}
		c.keys, c.until = map[string]bool{}, now.Add(s.MaxAge())
		for _, k := range set.Keys {
			c.keys[k.KeyID] = true
		}
	}
	return c.keys[kid]
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(raw, &header); err != nil {
		t.Fatal(err)
	}
	return header.KeyID
}

// TestRotate lets replicas that reload and verifiers that cache live through
// rotations, on a clock of their own: no token that has not expired is ever
// signed by a key that one of them does not know.
func TestRotate(t *testing.T) {
	t.Parallel()
	const step, tick = 5 * time.Second, 150 * time.Second             // a replica reloads every half of max-age
	keys, now, random := &store{}, start, rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same every time
	replicas := make([]*tokens.Service, 3)
	loads := make([]time.Time, len(replicas))
	for i := range replicas {
		replicas[i] = service(t, func(c *tokens.Config) { c.Keys, c.Now = keys, func() time.Time { return now } })
		loads[i] = now.Add(time.Duration(random.Int64N(int64(tick))))
	}
	type live struct {
		token, kid string
		expires    time.Time
	}
	var alive []live
	verifiers := make([]cache, 7)
	for i := range verifiers { // each fetches at another moment
		verifiers[i].knows(t, replicas[0], "", now)
		verifiers[i].until = now.Add(time.Duration(random.Int64N(int64(replicas[0].MaxAge()))))
	}
	signed := map[string]bool{}
	// The third comes while the second is not signing yet.
	rotations := []time.Duration{20 * time.Minute, 60 * time.Minute, 63 * time.Minute, 100 * time.Minute}
	for now.Before(start.Add(3 * time.Hour)) {
		for i, r := range replicas {
			if !now.Before(loads[i]) {
				loads[i] = now.Add(tick)
				if err := r.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(rotations) > 0 && !now.Before(start.Add(rotations[0])) {
			rotations = rotations[1:]
			if _, err := replicas[0].Rotate(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		token, expires, err := replicas[random.IntN(len(replicas))].IssueAccess(alice, now, now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		kid := kidOf(t, token)
		signed[kid] = true
		alive = append(alive, live{token, kid, expires})
		for len(alive) > 0 && !now.Before(alive[0].expires) {
			alive = alive[1:]
		}
		for _, l := range []live{alive[0], alive[len(alive)-1]} {
			for i := range verifiers {
				if !verifiers[i].knows(t, replicas[i%len(replicas)], l.kid, now) {
					t.Fatalf("%v after the start a verifier lacks the key %s", now.Sub(start), l.kid)
				}
			}
			for i, r := range replicas {
				if _, err := r.VerifyAccess(l.token, now); err != nil {
					t.Fatalf("%v after the start, replica %d: %v", now.Sub(start), i, err)
				}
			}
		}
		now = now.Add(step)
	}
	if len(signed) != 5 {
		t.Errorf("%d keys have signed in four rotations", len(signed))
	}
	if body, _ := replicas[0].JWKS(); strings.Count(string(body), "kid") != 1 {
		t.Errorf("at the end are published: %s", body)
	}
}

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
