package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// Why a new identity was not tied to the local user who has its e-mail address,
// as the event of the new user's creation says.
const (
	notProvedByProvider = "the provider does not say that the address is verified"
	severalUsers        = "several users have the address"
	addressDiffers      = "the local part is written differently"
	userDisabled        = "the user is disabled"
	notProvedHere       = "the address of the user is not verified"
	userIsStaff         = "the user is staff"
	changedMeanwhile    = "the user has another identity of the provider, or was changed"
)

// link ties a new identity to the local user who has its e-mail address, where
// that is configured and both sides have proved the mailbox. Where it does not,
// it says why; an empty text says that there was nobody to link to.
//
// It returns no user where it did not link, unless another sign-in has given the
// identity one meanwhile. Where all holds but that the user is disabled, it is
// ErrAccountDisabled: who was locked out does not come back by another door.
func (s *Service) link(ctx context.Context, i cognito.Identity, identity repo.Identity, c Client, now time.Time) (user repo.User, refused string, err error) {
	rules := s.Providers[i.Provider]
	if !rules.LinkByEmail || i.Email == "" {
		return repo.User{}, "", nil
	}
	users, err := s.Store.FindUsersByEmail(ctx, i.Email, 2)
	if err != nil {
		return repo.User{}, "", fmt.Errorf("finding users by e-mail address: %w", err)
	}
	if len(users) == 0 {
		return repo.User{}, "", nil
	}
	found := users[0]
	switch refused = linkRefused(users, i, rules); refused {
	case "":
	case userDisabled:
		return repo.User{}, "", s.refuseDisabled(ctx, found.ID, i.Provider, c, now)
	default:
		return repo.User{}, refused, nil
	}
	identity.UserID = found.ID
	user, _, err = s.Store.LinkIdentity(ctx, found, identity, event("identity_linked", found.ID, "", c, now,
		map[string]any{"method": i.Provider, "issuer": i.Issuer, "subject": i.Subject}))
	if errors.Is(err, repo.ErrStale) {
		return repo.User{}, changedMeanwhile, nil
	}
	if err != nil {
		return repo.User{}, "", fmt.Errorf("linking an identity: %w", err)
	}
	return user, "", nil
}

// linkRefused says why an identity may not be tied to the users who have its
// address, of which there is at least one; "" where it may be to the first.
//
// That a second user has the address, be it disabled, unproved or spelt in
// another case, leaves open whose the mailbox is.
func linkRefused(users []repo.User, i cognito.Identity, rules Provider) string {
	u := users[0]
	switch {
	case i.EmailVerified != cognito.Verified: // Trusted is not enough
		return notProvedByProvider
	case len(users) > 1:
		return severalUsers
	case !sameMailbox(u.Email, i.Email):
		return addressDiffers
	case !u.EmailVerified:
		return notProvedHere
	case !u.IsActive: // this one knows already that the account is there
		return userDisabled
	case (u.IsStaff || u.IsSuperuser) && !rules.LinkStaff:
		return userIsStaff
	}
	return ""
}

// sameMailbox reports whether two addresses are one mailbox for certain: the
// domain has no case, but whether the local part has is for its host to say
// (RFC 5321 §2.4).
func sameMailbox(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	return i >= 0 && j >= 0 && a[:i] == b[:j] && asciiLower(a[i:]) == asciiLower(b[j:])
}

// asciiLower folds what has no other meaning in a domain; the letters beyond
// ASCII stay as they are.
func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
