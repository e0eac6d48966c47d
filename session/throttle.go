package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// Limits bounds how often a sign-in may fail within a window, for all replicas
// together. Refused authorization codes, and refused services, count by
// network, each by themselves. An account is counted by its name, whether there is one or not; a
// network is an IPv4 /24 or an IPv6 /64. All are required.
type Limits struct {
	Window               time.Duration
	PerAccountAndNetwork int // guessing one account from one place
	PerNetwork           int // guessing many accounts from one place
	// PerAccount stops guessing one account from many places: what is beyond the limits of a network does not count. It
	// binds only networks from which the account has never signed in, so that nobody can lock the owner out.
	PerAccount int
}

func (l Limits) check() error {
	if l.Window <= 0 || l.PerAccountAndNetwork < 1 || l.PerNetwork < 1 || l.PerAccount < 1 {
		return errors.New("session: every limit of the throttle must be positive")
	}
	return nil
}

// attempt is one sign-in that counts until it is taken back.
type attempt struct {
	username string
	keys     []string // account and network, network, account
}

// countAttempt counts a sign-in before it is tried, so that a hundred at once
// can't all pass before the first has failed. The account's name is hashed: what
// people type into that field is now and then a password. Where it is
// *ThrottledError, nothing is to be taken back.
func (s *Service) countAttempt(ctx context.Context, username string, c Client, now time.Time) (attempt, error) {
	network := networkOf(c.IP)
	sum := sha256.Sum256([]byte(username))
	account := hex.EncodeToString(sum[:16])
	a := attempt{username: username, keys: []string{"both:" + account + ":" + network, "network:" + network, "account:" + account}}
	counts, err := s.Store.AddAttempts(ctx, a.keys, now, now.Add(-s.Limits.Window))
	if err != nil {
		return attempt{}, fmt.Errorf("counting a sign-in: %w", err)
	}
	both, alone, all := counts[0]-s.Limits.PerAccountAndNetwork, counts[1]-s.Limits.PerNetwork, counts[2]-s.Limits.PerAccount
	if both > 0 || alone > 0 {
		s.takeBack(ctx, attempt{keys: a.keys[2:]}) // one network is not to use up the account's
		return attempt{}, &ThrottledError{RetryAfter: s.Limits.Window, first: both == 1 || alone == 1}
	}
	if all > 0 {
		if known, err := s.knowsNetwork(ctx, username, network); err != nil {
			s.takeBack(ctx, a)
			return attempt{}, err
		} else if !known {
			return attempt{}, &ThrottledError{RetryAfter: s.Limits.Window, first: all == 1 || counts[0] == 1}
		}
	}
	return a, nil
}

// countFromNetwork counts an attempt of a kind that bounds networks alone; beyond
// the limit it is *ThrottledError.
func (s *Service) countFromNetwork(ctx context.Context, kind string, c Client, now time.Time) (attempt, error) {
	a := attempt{keys: []string{kind + ":" + networkOf(c.IP)}}
	counts, err := s.Store.AddAttempts(ctx, a.keys, now, now.Add(-s.Limits.Window))
	switch {
	case err != nil:
		return attempt{}, fmt.Errorf("counting a %s: %w", kind, err)
	case counts[0] > s.Limits.PerNetwork:
		return attempt{}, &ThrottledError{RetryAfter: s.Limits.Window}
	}
	return a, nil
}

// knowsNetwork reports whether the account has signed in from that network.
func (s *Service) knowsNetwork(ctx context.Context, username, network string) (bool, error) {
	user, err := s.Store.FindUserByUsername(ctx, username)
	if errors.Is(err, repo.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finding a user by name: %w", err)
	}
	addresses, err := s.Store.SessionAddresses(ctx, user.ID)
	if err != nil {
		return false, fmt.Errorf("listing where a user came from: %w", err)
	}
	return slices.ContainsFunc(addresses, func(ip string) bool { return networkOf(ip) == network }), nil
}

// takeBack forgets an attempt that was not a wrong guess. That it fails costs
// the client one attempt and nothing else, so it is only logged.
func (s *Service) takeBack(ctx context.Context, a attempt) {
	ctx, cancel := detached(ctx)
	defer cancel()
	if err := s.Store.TakeBackAttempts(ctx, a.keys); err != nil {
		s.Logger.WarnContext(ctx, "taking back a counted attempt", "error", err)
	}
}

// networkOf returns the network of an address: an IPv4 /24 or an IPv6 /64.
func networkOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	prefix, _ := addr.Prefix(bits) // the bits fit the family
	return prefix.String()
}
