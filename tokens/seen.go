package tokens

import (
	"crypto/sha256"
	"sync"
)

// seenLimit bounds how many tokens are remembered at a time, twice over.
const seenLimit = 4096

// seen remembers the tokens whose signature a key set has found right, by their
// digests: services and proxies ask about one token again and again. The digest
// covers every byte, and a signature that is right once is right for as long as
// the key is; whether the key may still be believed, and the claims, are looked
// at each time. It goes with its key set.
type seen struct {
	mu           sync.Mutex
	young, older map[[sha256.Size]byte]struct{}
}

// has reports whether the token was added, and not too many others since.
func (s *seen) has(digest [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[digest]; ok {
		return true
	}
	_, ok := s.older[digest]
	if ok {
		s.addLocked(digest) // it is in use
	}
	return ok
}

func (s *seen) add(digest [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addLocked(digest)
}

func (s *seen) addLocked(digest [sha256.Size]byte) {
	if s.young == nil || len(s.young) >= seenLimit {
		s.young, s.older = map[[sha256.Size]byte]struct{}{}, s.young
	}
	s.young[digest] = struct{}{}
}
