package tokens

import (
	"context"
	"fmt"
	"time"
)

// The states of a key as ListKeys tells them.
const (
	StatePublished = "published" // known to verifiers before it signs, or because it only verifies
	StateSigning   = "signing"
	StateRetired   = "retired" // signs no more; its tokens are still believed
	StateRemoved   = "removed"
)

// What seals a key.
const (
	SealedByCurrent  = "current"  // the secret
	SealedByFallback = "fallback" // one of the fallbacks: the secret's turn comes when a server starts
	SealedByOther    = "other"    // a secret that is not known here
)

// KeyStatus is what may be told of a key.
type KeyStatus struct {
	KeyID, Algorithm, State                 string
	CreatedAt, SignsAt, RetiredAt, RemoveAt time.Time // zero: not decided, or not known of a file
	SealedBy                                string    // empty: by nothing, as it is in a file
}

// ListKeys tells the keys as they are now in the store, the oldest first, or in
// Config.KeyFile. It changes nothing, and needs no Load.
func (s *Service) ListKeys(ctx context.Context) ([]KeyStatus, error) {
	if s.cfg.KeyFile != "" {
		return s.listFile()
	}
	if s.cfg.Keys == nil {
		return nil, nil
	}
	records, err := s.cfg.Keys.ListSigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the signing keys: %w", err)
	}
	now, list := s.now(), make([]KeyStatus, 0, len(records))
	for _, r := range records {
		k := KeyStatus{
			KeyID: r.KeyID, Algorithm: r.Algorithm, State: StatePublished,
			CreatedAt: r.CreatedAt, SignsAt: r.SignsAt, RetiredAt: r.RetiredAt, RemoveAt: r.RemoveAt, SealedBy: SealedByOther,
		}
		switch {
		case !before(now, r.RemoveAt):
			k.State = StateRemoved
		case !before(now, r.RetiredAt):
			k.State = StateRetired
		case !r.SignsAt.After(now):
			k.State = StateSigning
		}
		if _, by, ok := open(s.sealers, r.SealedPrivate, r.KeyID); ok {
			k.SealedBy = SealedByCurrent
			if by > 0 {
				k.SealedBy = SealedByFallback
			}
		}
		list = append(list, k)
	}
	return list, nil
}

func (s *Service) listFile() ([]KeyStatus, error) {
	text, _, err := readKeyFile(s.cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeyFile(text, s.cfg.Algorithm)
	if err != nil {
		return nil, err
	}
	var list []KeyStatus
	for _, k := range keys {
		state := StatePublished
		if k.signs(longAgo) {
			state = StateSigning
		}
		list = append(list, KeyStatus{KeyID: k.id, Algorithm: k.method.Alg(), State: state})
	}
	return list, nil
}
