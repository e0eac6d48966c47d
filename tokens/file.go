package tokens

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

const (
	maxKeyFileBytes = 1 << 20
	maxKeyFileKeys  = 100
)

// keyFile remembers what was read last, under the lock of loading.
type keyFile struct {
	digest [sha256.Size]byte
	keys   []*signingKey
}

// loadFile reads Config.KeyFile, if it has changed.
func (s *Service) loadFile(ctx context.Context) ([]*signingKey, error) {
	text, mode, err := readKeyFile(s.cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(text)
	if s.file.keys != nil && digest == s.file.digest {
		return s.file.keys, nil
	}
	keys, err := parseKeyFile(text, s.cfg.Algorithm)
	if err != nil {
		return nil, err
	}
	if mode&0o004 != 0 {
		s.cfg.Logger.WarnContext(ctx, "the file with the signing keys can be read by everybody", "file", s.cfg.KeyFile, "mode", mode.String())
	}
	s.cfg.Logger.InfoContext(ctx, "signing keys read", "file", s.cfg.KeyFile, "keys", len(keys))
	s.file = keyFile{digest, keys}
	return keys, nil
}

func readKeyFile(path string) (text []byte, mode os.FileMode, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the key file: %w", err)
	}
	if info.Size() > maxKeyFileBytes {
		return nil, 0, fmt.Errorf("%w: %s has more than %d bytes", ErrBadKey, path, maxKeyFileBytes)
	}
	if text, err = os.ReadFile(path); err != nil {
		return nil, 0, fmt.Errorf("reading the key file: %w", err)
	}
	return text, info.Mode().Perm(), nil
}

// parseKeyFile reads a JWK Set (RFC 7517 §5). The first private key of the algorithm signs, unless its "key_ops" leave
// that out; all others are published and verify.
func parseKeyFile(text []byte, algorithm string) ([]*signingKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil { // the cause may quote what was read
		return nil, fmt.Errorf("%w: the key file is no JWK Set", ErrBadKey)
	}
	if len(set.Keys) > maxKeyFileKeys {
		return nil, fmt.Errorf("%w: the key file has more than %d keys", ErrBadKey, maxKeyFileKeys)
	}
	keys, signer := make([]*signingKey, 0, len(set.Keys)), false
	for i, entry := range set.Keys {
		m, err := parseJWK(entry)
		if err != nil {
			var named struct {
				KeyID string `json:"kid"`
			}
			_ = json.Unmarshal(entry, &named) // without a name it has its number
			return nil, fmt.Errorf("%w: key %d of the key file (kid %q): %w", ErrBadKey, i+1, named.KeyID, err)
		}
		method, _ := methodOf(m.algorithm)
		k := &signingKey{id: m.id, method: method, private: m.private, public: m.public, jwk: m.jwk}
		if signer || m.algorithm != algorithm || !m.maySign() {
			k.retireAt = longAgo
		} else {
			signer = true
		}
		keys = append(keys, k)
	}
	if !signer {
		return nil, fmt.Errorf("%w: the key file has no private key for %s that may sign", ErrBadKey, algorithm)
	}
	return keys, nil
}

// longAgo is when a key retired that only verifies.
var longAgo = time.Unix(0, 0).UTC()

func (m material) maySign() bool {
	return m.private != nil && (len(m.ops) == 0 || slices.Contains(m.ops, jwk.KeyOpSign))
}

// errKeyFile says where the keys have to be changed.
var errKeyFile = errors.New("tokens: the keys are those of a file (keys.file): they are changed there, and not in the database")
