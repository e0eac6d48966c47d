// Package mac computes HMAC-SHA256 under a key that serves many times, without
// setting it up, or allocating, each time.
package mac

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// Key is a key for HMAC-SHA256. It is safe for concurrent use.
type Key struct{ states sync.Pool }

// state is one computation's.
type state struct {
	hash hash.Hash
	in   []byte
	sum  [sha256.Size]byte
}

// NewKey returns a key.
func NewKey(key []byte) *Key {
	key = append([]byte(nil), key...)
	return &Key{states: sync.Pool{New: func() any { return &state{hash: hmac.New(sha256.New, key)} }}}
}

// Sum returns the MAC of the texts, one after the other.
func (k *Key) Sum(texts ...string) [sha256.Size]byte {
	s, _ := k.states.Get().(*state)
	defer k.states.Put(s)
	s.in = s.in[:0]
	for _, text := range texts {
		s.in = append(s.in, text...)
	}
	s.hash.Reset()
	s.hash.Write(s.in)
	s.hash.Sum(s.sum[:0])
	return s.sum
}

// Verify reports whether sum is the MAC of the text, in a time that does not
// depend on where it differs.
func (k *Key) Verify(sum []byte, text string) bool {
	want := k.Sum(text)
	return hmac.Equal(sum, want[:])
}
