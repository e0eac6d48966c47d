package cognito

import (
	"context"
	"fmt"
)

// Probe is what came of one fetch of keys.
type Probe struct {
	URL     string // empty: the metadata says, and it could not be had
	Standby bool   // it is fetched only where a token asks for it: a pool has one of its issuers
	Err     error
	Keys    int
	Ignored int // keys that can't be used; why, Config.Logger was told
}

// Probe fetches the provider's metadata and keys now, each key set once.
func (v *Verifier) Probe(ctx context.Context) []Probe {
	var found []Probe
	for i, s := range v.sources {
		err := s.Refresh(ctx)
		stats := s.Stats()
		at, _ := s.URL(ctx)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrKeysUnavailable, err)
		}
		found = append(found, Probe{URL: at, Standby: i > 0, Err: err, Keys: stats.Keys, Ignored: stats.Ignored})
	}
	return found
}
