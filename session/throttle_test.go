package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
)

func isThrottled(err error) bool {
	_, ok := errors.AsType[*session.ThrottledError](err)
	return ok
}

// TestThrottle goes through the three limits, and out of the window.
func TestThrottle(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	b.user(t, "bob")
	try := func(name, pass, ip string) error {
		_, err := b.SignIn(t.Context(), name, pass, session.Client{IP: ip})
		return err
	}
	must(t, try("alice", plain, "192.0.2.1")) // from here she has signed in
	for range 3 {
		if err := try("alice", "wrong", "198.51.100.1"); !errors.Is(err, session.ErrNoActiveAccount) {
			t.Fatalf("within the limit: %v", err)
		}
	}
	if err := try("alice", plain, "198.51.100.2"); !isThrottled(err) {
		t.Errorf("the fourth try of an account from a network, with the right password: %v", err)
	}
	for range 2 {
		if err := try("alice", "wrong", "203.0.113.1"); !errors.Is(err, session.ErrNoActiveAccount) {
			t.Errorf("from another network: %v", err)
		}
	}
	if err := try("alice", plain, "203.0.113.1"); !isThrottled(err) {
		t.Errorf("an account that is guessed from many networks, from a network that is not known: %v", err)
	}
	if err := try("alice", plain, "192.0.2.99"); err != nil {
		t.Errorf("the owner, from where she was before, is locked out: %v", err)
	}
	for i := range 3 {
		_ = try(fmt.Sprint("nobody", i), "wrong", "198.51.100.3")
	}
	if err := try("bob", plain, "198.51.100.4"); !isThrottled(err) {
		t.Errorf("a network that guesses many accounts: %v", err)
	}
	if err := try("nobody at all", plain, "2001:db8::1"); isThrottled(err) {
		t.Errorf("a network of its own: %v", err)
	}
	b.advance(16 * time.Minute)
	must(t, try("bob", plain, "198.51.100.4"))
}

// TestThrottleHoldsAtOnce guesses a hundred times at once: no more than the limit
// gets as far as the password.
func TestThrottleHoldsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	var mu sync.Mutex
	tried := 0
	var wait sync.WaitGroup
	for range 100 {
		wait.Go(func() {
			_, err := b.SignIn(t.Context(), "alice", "wrong", home)
			if errors.Is(err, session.ErrNoActiveAccount) {
				mu.Lock()
				defer mu.Unlock()
				tried++
			}
		})
	}
	wait.Wait()
	if tried != 3 {
		t.Errorf("%d of 100 guesses were tried, the limit is 3", tried)
	}
}

// TestOwnersNetwork guesses one account from everywhere. Its owner comes from where she was before: the addresses
// within an IPv6 network change daily.
func TestOwnersNetwork(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	try := func(pass, ip string) error {
		_, err := b.SignIn(t.Context(), "alice", pass, session.Client{IP: ip})
		return err
	}
	must(t, try(plain, "2001:db8:0:7::1"))
	for i := range 2 * b.Limits.PerAccount {
		_ = try("wrong", fmt.Sprintf("198.51.%d.1", i))
	}
	for ip, out := range map[string]bool{"2001:db8:0:7:1:2:3:4": false, "2001:db8:0:8::1": true, "": true} {
		if err := try(plain, ip); isThrottled(err) != out {
			t.Errorf("from %q: %v", ip, err)
		}
	}
}

// TestOneNetworkLocksNobodyOut guesses without end from one network, which is recorded once: the owner may sign in
// from any other.
func TestOneNetworkLocksNobodyOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	for range 3 * b.Limits.PerAccount {
		_, _ = b.SignIn(t.Context(), "alice", "wrong", home)
	}
	if _, err := b.SignIn(t.Context(), "alice", plain, session.Client{IP: "192.0.2.9"}); err != nil {
		t.Errorf("the owner from elsewhere: %v", err)
	}
	failed := "sign_in_failed wrong_password"
	b.wantEvents(t, failed, failed, failed, "sign_in_throttled", "sign_in_throttled", "sign_in")
}

// lostStore can't say where somebody came from.
type lostStore struct{ session.Store }

func (lostStore) SessionAddresses(context.Context, string) ([]string, error) {
	return nil, repo.ErrUnavailable
}

// TestFaultIsNoGuess has the store fail between the count and the password.
func TestFaultIsNoGuess(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.user(t, "alice")
	for i := range b.Limits.PerAccount {
		_, _ = b.SignIn(t.Context(), "alice", "wrong", session.Client{IP: fmt.Sprintf("198.51.%d.1", i)})
	}
	c := b.Config
	c.Store = lostStore{b.store}
	faulty, err := session.New(c)
	must(t, err)
	for range 2 * b.Limits.PerNetwork {
		if _, err := faulty.SignIn(t.Context(), "alice", plain, home); !errors.Is(err, repo.ErrUnavailable) {
			t.Fatalf("a fault of ours: %v", err)
		}
	}
}
