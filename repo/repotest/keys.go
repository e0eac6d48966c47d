package repotest

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/go-cmp/cmp"
)

func newSigningKey(id string, age time.Duration) repo.SigningKey {
	return repo.SigningKey{
		KeyID: id, Algorithm: "ES256", State: "published", SealedPrivate: []byte{0, 255, 1}, PublicJWK: json.RawMessage(`{"kty":"EC"}`),
		CreatedAt: stored(at.Add(age)), SignsAt: stored(at.Add(age + time.Minute)),
	}
}

func wantKeys(t *testing.T, r repo.Repository, keys ...repo.SigningKey) {
	t.Helper()
	got, err := r.ListSigningKeys(t.Context())
	must(t, err)
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("keys, the oldest first (-want +got):\n%s", diff)
	}
}

func testSigningKeys(t *testing.T, r repo.Repository) {
	wantKeys(t, r, []repo.SigningKey{}...)
	first, second, third := newSigningKey("1", 0), newSigningKey("2", -time.Hour), newSigningKey("3", time.Hour)
	second.Algorithm, second.State, second.RetiredAt, second.RemoveAt = "RS256", "retired", stored(at), stored(at.Add(time.Hour))
	must(t, r.SwapSigningKeys(t.Context(), nil, []repo.SigningKey{first, second}))
	wantKeys(t, r, second, first)

	// One is changed, one deleted, one added; in any order, and with a time of another zone.
	changed := first
	changed.State, changed.SealedPrivate, changed.RetiredAt, changed.RemoveAt = "retired", []byte{2}, third.SignsAt, stored(at.Add(3*time.Hour))
	elsewhere := first
	elsewhere.CreatedAt = first.CreatedAt.In(time.FixedZone("", 3600))
	must(t, r.SwapSigningKeys(t.Context(), []repo.SigningKey{elsewhere, second}, []repo.SigningKey{third, changed}))
	wantKeys(t, r, changed, third)

	must(t, r.SwapSigningKeys(t.Context(), []repo.SigningKey{changed, third}, []repo.SigningKey{third, changed}))
	wantKeys(t, r, changed, third)
	if err := r.SwapSigningKeys(t.Context(), []repo.SigningKey{changed, third}, []repo.SigningKey{third, changed, second, second}); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("a key twice: %v", err)
	}
	wantKeys(t, r, changed, third)
	must(t, r.SwapSigningKeys(t.Context(), []repo.SigningKey{changed, third}, nil))
	wantKeys(t, r, []repo.SigningKey{}...)
}

// testStaleSigningKeys expects what is not there, by one field at a time.
func testStaleSigningKeys(t *testing.T, r repo.Repository) {
	k := newSigningKey("1", 0)
	k.RetiredAt, k.RemoveAt = stored(at.Add(time.Hour)), stored(at.Add(2*time.Hour))
	held := []repo.SigningKey{k}
	must(t, r.SwapSigningKeys(t.Context(), nil, held))
	for what, edit := range map[string]func(*repo.SigningKey){
		"id":        func(k *repo.SigningKey) { k.KeyID = "2" },
		"algorithm": func(k *repo.SigningKey) { k.Algorithm = "RS256" },
		"state":     func(k *repo.SigningKey) { k.State = "signing" },
		"seal":      func(k *repo.SigningKey) { k.SealedPrivate = []byte{3} },
		"public":    func(k *repo.SigningKey) { k.PublicJWK = json.RawMessage(`{}`) },
		"created":   func(k *repo.SigningKey) { k.CreatedAt = k.CreatedAt.Add(time.Microsecond) },
		"signs":     func(k *repo.SigningKey) { k.SignsAt = k.SignsAt.Add(time.Microsecond) },
		"retired":   func(k *repo.SigningKey) { k.RetiredAt = time.Time{} },
		"removed":   func(k *repo.SigningKey) { k.RemoveAt = k.RemoveAt.Add(-time.Microsecond) },
	} {
		expected := slices.Clone(held)
		edit(&expected[0])
		if err := r.SwapSigningKeys(t.Context(), expected, nil); !errors.Is(err, repo.ErrStale) {
			t.Errorf("another %s is expected: %v", what, err)
		}
	}
	for what, expected := range map[string][]repo.SigningKey{"none": nil, "one more": {k, newSigningKey("2", 0)}, "the same twice": {k, k}} {
		if err := r.SwapSigningKeys(t.Context(), expected, nil); !errors.Is(err, repo.ErrStale) {
			t.Errorf("%s is expected: %v", what, err)
		}
	}
	if err := r.SwapSigningKeys(t.Context(), held, []repo.SigningKey{k, k}); !errors.Is(err, repo.ErrConflict) {
		t.Errorf("a key twice: %v", err)
	}
	wantKeys(t, r, held...)
}

// testSwapsAtOnce lets many replicas rotate, each upon what it has read: every round exactly one of those that read the
// same keys succeeds.
func testSwapsAtOnce(t *testing.T, r repo.Repository) {
	const replicas, rounds = 100, 4
	var held []repo.SigningKey
	for round := range rounds {
		errs := together(replicas, func(i int) error {
			fresh := newSigningKey(sprint(round*replicas+i), time.Duration(round)*time.Hour)
			after := []repo.SigningKey{fresh}
			if round > 0 {
				last := held[len(held)-1]
				last.State, last.RetiredAt = "retired", fresh.SignsAt
				after = append(after, last)
			}
			return r.SwapSigningKeys(background(), held, after)
		})
		made, _ := count(t, errs, func(err error) bool { return errors.Is(err, repo.ErrStale) })
		var err error
		held, err = r.ListSigningKeys(t.Context())
		must(t, err)
		if made != 1 || len(held) != min(round+1, 2) {
			t.Fatalf("round %d: %d replicas have rotated, and there are %d keys", round, made, len(held))
		}
	}
}
