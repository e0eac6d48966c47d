package tokens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// swapTries bounds how often the keys are decided upon anew because another replica was faster. Who is overtaken mostly
// finds nothing left to do.
const swapTries = 10

var errOvertaken = fmt.Errorf("tokens: others changed the keys %d times meanwhile: %w", swapTries, repo.ErrStale)

// lead is how long a key is published before it signs. A replica that runs reads the store every half JWKSMaxAge, and a
// verifier keeps what it was given for the whole: after one and a half everybody has the key, and half is to spare. The
// clock of the replica that decides may differ from that of the replica that signs.
func (c Config) lead() time.Duration { return 2*c.JWKSMaxAge + c.Leeway }

func (s *Service) policy() policy {
	lead := s.cfg.lead()
	return policy{algorithm: s.cfg.Algorithm, rotateEvery: s.cfg.RotateEvery, lead: lead, linger: s.cfg.AccessLifetime + lead}
}

// Load reads the signing keys, and first does what their timeline asks for at
// this time: it makes the first key, and where Config.RotateEvery says so the
// next; it retires keys, and deletes those whose time is over. Replicas that do
// so together agree. It may be called again at any time; on an error the keys
// loaded before stay in use, and a change that fails does not keep it from using
// what is there. Where keys of another algorithm are signing already, a new key
// first signs when every verifier has it, as in Rotate.
//
// A key that may sign and that no secret opens is ErrSealed, and then nothing is
// changed. Any other such key is left out, with a warning: without the secret
// nobody can tell whose it is.
//
// The first Load of a Service also seals anew, under the secret, what only a
// fallback opens. Later ones don't: while a new secret is being rolled out,
// replicas that still have it among the fallbacks would undo it, and so on in
// turns.
//
// With Config.KeyFile it reads that instead, if it has changed, and the store is
// not used.
func (s *Service) Load(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.load(ctx)
}

func (s *Service) load(ctx context.Context) error {
	keys, err := s.loadKeys(ctx)
	if err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	set, err := newKeySet(keys)
	if err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	s.set.Store(set)
	return nil
}

func (s *Service) loadKeys(ctx context.Context) ([]*signingKey, error) {
	if s.cfg.Algorithm == HS256 {
		return nil, nil
	}
	if s.cfg.KeyFile != "" {
		return s.loadFile(ctx)
	}
	for range swapTries {
		h, err := s.hold(ctx)
		if err != nil {
			return nil, err
		}
		changed, err := s.advance(ctx, h, nil)
		switch {
		case errors.Is(err, repo.ErrStale):
			continue
		case err != nil && h.canSign():
			s.cfg.Logger.ErrorContext(ctx, "signing keys not changed", "error", err)
			return h.keys, nil
		case err != nil:
			return nil, err
		case !changed:
			s.resealed = true
			return h.keys, nil
		}
	}
	return nil, errOvertaken
}

// held is what the store holds at a time.
type held struct {
	now     time.Time
	records []repo.SigningKey
	keys    []*signingKey   // those that could be opened, and are not removed
	sealed  map[string]bool // those that could not, by id
}

func (h held) canSign() bool {
	return slices.ContainsFunc(h.keys, func(k *signingKey) bool { return before(h.now, k.retireAt) })
}

func (s *Service) hold(ctx context.Context) (held, error) {
	records, err := s.cfg.Keys.ListSigningKeys(ctx)
	if err != nil {
		return held{}, err
	}
	h := held{now: s.now(), records: records, sealed: map[string]bool{}}
	for _, r := range records {
		if !before(h.now, r.RemoveAt) {
			continue
		}
		k, err := openKey(r, s.sealers)
		switch {
		case err == nil:
			h.keys = append(h.keys, k)
		case r.Algorithm == s.cfg.Algorithm && before(h.now, r.RetiredAt):
			return held{}, err
		default:
			s.cfg.Logger.WarnContext(ctx, "signing key left out", "kid", r.KeyID, "state", r.State, "error", err)
			h.sealed[r.KeyID] = true
		}
	}
	return h, nil
}

// now is the time as the store keeps it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// An edit makes of what is held what somebody wants; it must not change its records.
type edit func(h held) ([]repo.SigningKey, error)

// advance makes the edit (nil: none) and what the timeline asks for then, and reports whether that changed anything.
func (s *Service) advance(ctx context.Context, h held, by edit) (changed bool, err error) {
	wanted := h.records
	if by != nil {
		if wanted, err = by(h); err != nil {
			return false, err
		}
	}
	// A key that nobody here can open signs nothing here.
	known := slices.DeleteFunc(slices.Clone(wanted), func(r repo.SigningKey) bool { return h.sealed[r.KeyID] })
	changes := next(known, h.now, s.policy())
	after, err := apply(wanted, changes, func(c change) (repo.SigningKey, error) {
		return newKeyRecord(c.algorithm, s.sealers[0], h.now, c.signsAt)
	})
	if err != nil {
		return false, err
	}
	resealed := !s.resealed && s.reseal(after)
	if by == nil && len(changes) == 0 && !resealed {
		return false, nil
	}
	if err := s.cfg.Keys.SwapSigningKeys(ctx, h.records, after); err != nil {
		return false, fmt.Errorf("changing the signing keys: %w", err)
	}
	s.logChanges(ctx, h.records, after)
	return true, nil
}

// change loads the keys, makes an edit, on what others have left of them, and loads them again.
func (s *Service) change(ctx context.Context, by edit) error {
	switch {
	case s.cfg.Algorithm == HS256:
		return errHMAC
	case s.cfg.KeyFile != "":
		return errKeyFile
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	for range swapTries {
		h, err := s.hold(ctx)
		if err != nil {
			return err
		}
		_, err = s.advance(ctx, h, by)
		if err == nil {
			return s.load(ctx)
		}
		if !errors.Is(err, repo.ErrStale) {
			return err
		}
	}
	return errOvertaken
}

// reseal seals under the secret what only a fallback opens, and reports whether there was any.
func (s *Service) reseal(keys []repo.SigningKey) (any bool) {
	for i, k := range keys {
		if der, by, ok := open(s.sealers, k.SealedPrivate, k.KeyID); ok && by > 0 {
			keys[i].SealedPrivate, any = s.sealers[0].seal(der, k.KeyID), true
		}
	}
	return any
}

// logChanges records what was done to the keys.
func (s *Service) logChanges(ctx context.Context, from, to []repo.SigningKey) {
	for _, k := range from {
		if indexOf(to, k.KeyID) < 0 {
			s.cfg.Logger.InfoContext(ctx, "signing key removed", "kid", k.KeyID, "alg", k.Algorithm)
		}
	}
	for _, k := range to {
		i := indexOf(from, k.KeyID)
		switch {
		case i < 0:
			s.cfg.Logger.InfoContext(ctx, "signing key created", "kid", k.KeyID, "alg", k.Algorithm, "signs_at", k.SignsAt)
		case k.RetiredAt.IsZero() && !from[i].RetiredAt.IsZero():
			s.cfg.Logger.InfoContext(ctx, "signing key goes on", "kid", k.KeyID, "alg", k.Algorithm)
		case !from[i].RetiredAt.Equal(k.RetiredAt):
			s.cfg.Logger.InfoContext(ctx, "signing key retired", "kid", k.KeyID, "alg", k.Algorithm,
				"retired_at", k.RetiredAt, "remove_at", k.RemoveAt)
		case !bytes.Equal(from[i].SealedPrivate, k.SealedPrivate):
			s.cfg.Logger.InfoContext(ctx, "signing key sealed under the secret", "kid", k.KeyID)
		}
	}
}

func indexOf(keys []repo.SigningKey, id string) int {
	return slices.IndexFunc(keys, func(k repo.SigningKey) bool { return k.KeyID == id })
}
