package tokens

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// keySet is what Load has read; it never changes.
type keySet struct {
	keys map[string]*signingKey
	// order is that of the store, the oldest first.
	order []*signingKey
	body  []byte
	etag  string
	seen  seen // not to be copied
}

// newKeySet publishes the keys in this order.
func newKeySet(order []*signingKey) (*keySet, error) {
	set := &keySet{keys: make(map[string]*signingKey, len(order)), order: order}
	public := jwk.NewSet()
	for _, k := range order {
		if set.keys[k.id] != nil {
			return nil, fmt.Errorf("tokens: kid %q is there twice", k.id)
		}
		set.keys[k.id] = k
		if err := public.AddKey(k.jwk); err != nil {
			return nil, fmt.Errorf("publishing kid %q: %w", k.id, err)
		}
	}
	body, err := json.Marshal(public)
	if err != nil {
		return nil, fmt.Errorf("encoding the key set: %w", err)
	}
	digest := sha256.Sum256(body)
	set.body, set.etag = body, `"`+base64.RawURLEncoding.EncodeToString(digest[:18])+`"`
	return set, nil
}

// signer returns the key that signs at this time: of those with the wanted algorithm the one that began last, and
// where none of these has begun yet (the algorithm was changed a moment ago) the last of any algorithm. Where none has
// begun at all (another replica made the first key, and its clock is ahead) the next to begin signs early: it is
// published already.
func (s *keySet) signer(algorithm string, now time.Time) (*signingKey, error) {
	if s == nil {
		return nil, ErrNotReady
	}
	var best, early *signingKey
	for _, k := range s.order {
		if !k.signs(now) {
			if k.signsAt.After(now) && before(k.signsAt, k.retireAt) && (early == nil || k.signsAt.Before(early.signsAt)) {
				early = k
			}
			continue
		}
		wanted, bestWanted := k.method.Alg() == algorithm, best != nil && best.method.Alg() == algorithm
		if best == nil || wanted && !bestWanted || wanted == bestWanted && !k.signsAt.Before(best.signsAt) {
			best = k
		}
	}
	if best == nil {
		best = early
	}
	if best == nil {
		return nil, ErrNotReady
	}
	return best, nil
}

// verifier returns the key of this id that may still be believed; no key has an empty id.
func (s *keySet) verifier(id string, now time.Time) (*signingKey, error) {
	k := s.keys[id]
	if k == nil || !k.verifies(now) {
		return nil, ErrUnknownKey
	}
	return k, nil
}
