package verify_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/verify"
)

// TestOutage loses the issuer after the keys were fetched: they serve for a day.
func TestOutage(t *testing.T) {
	t.Parallel()
	key, c := newPair(t, "k1", "ES256"), newClock()
	w := newWorld(key)
	v := verifier(t, w, c.now)
	expect := func(when string, want error) {
		t.Helper()
		if _, err := v.Verify(t.Context(), key.access(c.now())); !errors.Is(err, want) || errors.Is(err, verify.ErrInvalidToken) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	w.set(func() { w.keys = "" })
	expect("before any key is known", verify.ErrKeysUnavailable)
	w.publish(key)
	expect("with the issuer there", nil)
	w.publish()
	c.advance(11 * time.Hour)
	expect("half a day without a key being published", nil)
	w.set(func() { w.keys = "" })
	c.advance(12 * time.Hour)
	expect("a day later, nearly", nil)
	c.advance(time.Hour)
	expect("a day later", verify.ErrKeysUnavailable)
	w.publish()
	c.advance(31 * time.Second)
	expect("with an issuer that has not loaded its keys", verify.ErrKeysUnavailable)
	w.publish(key)
	c.advance(31 * time.Second) // the longest pause between two tries
	expect("mended", nil)
}

// TestWithdrawnKey takes a key away: it is believed until the set is fetched anew.
func TestWithdrawnKey(t *testing.T) {
	t.Parallel()
	old, key := newPair(t, "k1", "ES256"), newPair(t, "k2", "ES256")
	w := newWorld(old)
	v := verifier(t, w, newClock().now)
	if _, err := v.Verify(t.Context(), old.access(start)); err != nil {
		t.Fatal(err)
	}
	w.publish(key)
	if _, err := v.Verify(t.Context(), key.access(start)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), old.access(start)); !errors.Is(err, verify.ErrUnknownKey) {
		t.Errorf("the withdrawn key: %v", err)
	}
}

// shelf is a store in memory.
type shelf struct {
	mu    sync.Mutex
	body  []byte
	at    time.Time
	saved chan struct{} // one for each set
}

func (s *shelf) SaveKeySet(_ context.Context, url string, body []byte, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if url != keysURL {
		return errors.New("whose keys?")
	}
	s.body, s.at = body, at
	s.saved <- struct{}{}
	return nil
}

func (s *shelf) LoadKeySet(context.Context, string) ([]byte, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body == nil {
		return nil, time.Time{}, errors.New("nothing is kept")
	}
	return s.body, s.at, nil
}

// TestRestartDuringAnOutage starts anew while the issuer can't be reached, with
// the keys that an earlier process has kept.
func TestRestartDuringAnOutage(t *testing.T) {
	t.Parallel()
	key, kept := newPair(t, "k1", "ES256"), &shelf{saved: make(chan struct{}, 9)}
	w := newWorld(key)
	anew := func() *verify.Verifier {
		return verifier(t, w, newClock().now, func(c *verify.Config) { c.Store = kept })
	}
	if _, err := anew().Verify(t.Context(), key.access(start)); err != nil {
		t.Fatal(err)
	}
	<-kept.saved
	w.set(func() { w.keys = "" })
	if _, err := anew().Verify(t.Context(), key.access(start)); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if _, err := verifier(t, w, newClock().now).Verify(t.Context(), key.access(start)); !errors.Is(err, verify.ErrKeysUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}
