package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// IDPTokens are what an app got from an identity provider.
type IDPTokens = cognito.Pair

// Exchange opens a session for the user whom an identity provider's ID and
// access token name, and creates the user where there is none yet. A pair opens
// one session: again, it is ErrReplayed, but for a retry of the same client
// within the grace, which gets the same session.
//
// Other errors are those of package cognito, ErrAccountDisabled and
// repo.ErrUnavailable.
func (s *Service) Exchange(ctx context.Context, pair IDPTokens, c Client) (Grant, error) {
	now := s.now()
	if s.IdentityProviders == nil {
		return Grant{}, fmt.Errorf("no identity provider is configured: %w", cognito.ErrInvalidToken)
	}
	identity, err := s.IdentityProviders.VerifyPair(ctx, pair)
	if err != nil {
		return Grant{}, fmt.Errorf("verifying the identity provider's tokens: %w", err)
	}
	return s.admit(ctx, identity, identity.IDTokenDigest, s.start, c, now)
}

// AuthorizationCode is what came back from an identity provider's page, with
// what the app sent there.
type AuthorizationCode struct {
	IDP         string // the name of the provider; empty: the only one
	Code        string
	Verifier    string // code_verifier (RFC 7636 §4.1)
	RedirectURI string
	Nonce       string // empty: none was sent
	Issuer      string // that the provider's page named (RFC 9207); empty: none
}

// ExchangeCode is Exchange for an authorization code, which its provider is asked
// to redeem. A code opens one session, as a pair of tokens does; a retry must show
// the same verifier, for the same provider. The same client gets the same for what it asks at once. Since the
// provider redeems a code once, it goes on when the client goes away, until the deadline of its context.
//
// Errors are those of Exchange, and cognito.ErrCode, cognito.ErrRedirectURI,
// cognito.ErrNoApp, cognito.ErrEndpointUnavailable and *ThrottledError: codes that
// a provider refuses count by network.
func (s *Service) ExchangeCode(ctx context.Context, code AuthorizationCode, c Client) (Grant, error) {
	app, err := s.app(code.IDP)
	if err != nil {
		return Grant{}, err
	}
	// With the verifier, without which a code is nothing: who has seen the code alone is not told of the session either.
	digest := sha256.Sum256([]byte("code:" + app.Name() + "\x00" + code.Verifier + "\x00" + code.Code))
	grant, err, _ := s.codes.Do(string(digest[:])+c.IP+" "+c.UserAgent, func() (any, error) {
		ctx, cancel := staying(ctx)
		defer cancel()
		return s.exchangeCode(ctx, app, code, digest, c)
	})
	got, _ := grant.(Grant)
	return got, err
}

func (s *Service) exchangeCode(
	ctx context.Context, app *cognito.Verifier, code AuthorizationCode, digest [sha256.Size]byte, c Client,
) (Grant, error) {
	now := s.now()
	if used, err := s.usedBefore(ctx, digest); err != nil {
		return Grant{}, err
	} else if used {
		return s.exchangedBefore(ctx, digest[:], c, now)
	}
	identity, err := s.redeem(ctx, app, code, c, now)
	if errors.Is(err, cognito.ErrCode) {
		if used, err := s.usedBefore(ctx, digest); err != nil {
			return Grant{}, err // whether the code is bad can't be told
		} else if used { // by the same request, at another replica
			return s.exchangedBefore(ctx, digest[:], c, now)
		}
	}
	if err != nil {
		return Grant{}, fmt.Errorf("exchanging an authorization code: %w", err)
	}
	return s.admit(ctx, identity, digest, s.startSpent, c, now)
}

// redeem has the provider redeem a code. It counts as refused before the provider is
// asked, so that a hundred at once can't all pass: who guesses must not use up what
// the provider takes from this server.
func (s *Service) redeem(ctx context.Context, app *cognito.Verifier, code AuthorizationCode, c Client, now time.Time) (cognito.Identity, error) {
	counted, err := s.countFromNetwork(ctx, "code", c, now)
	if err != nil {
		return cognito.Identity{}, err
	}
	identity, err := app.ExchangeCode(ctx, cognito.Code{
		Code: code.Code, Verifier: code.Verifier, RedirectURI: code.RedirectURI, Nonce: code.Nonce, Issuer: code.Issuer,
	})
	// Where time is up before the answer, it may have been a guess.
	if err == nil || !errors.Is(err, cognito.ErrCode) && ctx.Err() == nil {
		s.takeBack(ctx, counted)
	}
	return identity, err
}

// AuthorizeURL is where the users of a provider sign in; see
// cognito.Verifier.AuthorizeURL.
func (s *Service) AuthorizeURL(ctx context.Context, idp, redirectURI string) (string, error) {
	app, err := s.app(idp)
	if err != nil {
		return "", err
	}
	return app.AuthorizeURL(ctx, redirectURI)
}

func (s *Service) app(idp string) (*cognito.Verifier, error) {
	if s.IdentityProviders == nil {
		return nil, cognito.ErrNoApp
	}
	return s.IdentityProviders.App(idp)
}

// starter stores a session and grants its first tokens, in one order or the other.
type starter func(ctx context.Context, user repo.User, begun repo.Session, p repo.Proof, c Client, now time.Time) (Grant, error)

// startSpent is start for what can't be presented to the provider again: the
// session comes first. Where its tokens can't be made, the client's retry within
// the grace finds it.
func (s *Service) startSpent(
	ctx context.Context, user repo.User, begun repo.Session, p repo.Proof, c Client, now time.Time,
) (Grant, error) {
	if err := s.open(ctx, begun, p, c, now); err != nil {
		return Grant{}, err
	}
	user.LastLogin = now
	return s.grant(ctx, repo.SessionUser{Session: begun, User: user}, current(begun), nil, now)
}

// admit opens a session for a verified identity, once for what was presented.
func (s *Service) admit(
	ctx context.Context, identity cognito.Identity, digest [sha256.Size]byte, start starter, c Client, now time.Time,
) (Grant, error) {
	if !s.Claims.MayFail() {
		grant, err := s.admitKnown(ctx, identity, digest, c, now)
		switch {
		case errors.Is(err, repo.ErrConflict):
			return s.exchangedBefore(ctx, digest[:], c, now)
		case !errors.Is(err, repo.ErrNotFound):
			return grant, err
		}
	}
	user, err := s.userOf(ctx, identity, c, now)
	if errors.Is(err, ErrReplayed) {
		return s.exchangedBefore(ctx, identity.IDTokenDigest[:], c, now)
	}
	if err != nil {
		return Grant{}, err
	}
	if !user.IsActive {
		return Grant{}, s.refuseDisabled(ctx, user.ID, identity.Provider, c, now)
	}
	begun, x := s.exchanged(user.ID, identity, digest, c, now)
	grant, err := start(ctx, user, begun, repo.Proof{Exchange: &x}, c, now)
	switch {
	case errors.Is(err, repo.ErrConflict):
		return s.exchangedBefore(ctx, digest[:], c, now)
	case errors.Is(err, repo.ErrNotFound): // disabled or deleted a moment ago
		return Grant{}, ErrAccountDisabled
	}
	return grant, err
}

// admitKnown is the common path, in one statement: the session comes first, as
// with a refresh whose claims can't fail, and what the provider says anew of the
// user after it. repo.ErrNotFound says that there is no active user behind the
// identity, repo.ErrConflict that what was presented was used before; then nothing
// has happened.
func (s *Service) admitKnown(
	ctx context.Context, identity cognito.Identity, digest [sha256.Size]byte, c Client, now time.Time,
) (Grant, error) {
	begun, x := s.exchanged("", identity, digest, c, now)
	user, err := s.Store.StartKnownSession(ctx, begun, x, signedIn(begun, c, now))
	if err != nil {
		return Grant{}, fmt.Errorf("starting a session: %w", err)
	}
	if user, err = s.follow(ctx, user, identity, true, now); err != nil {
		return Grant{}, err
	}
	begun.UserID, user.LastLogin = user.ID, now
	return s.grant(ctx, repo.SessionUser{Session: begun, User: user}, current(begun), nil, now)
}

// exchanged is the session of an identity, and the use of what was presented for it.
func (s *Service) exchanged(
	userID string, identity cognito.Identity, digest [sha256.Size]byte, c Client, now time.Time,
) (repo.Session, repo.Exchange) {
	begun := s.newSession(userID, identity.Provider, c, now)
	begun.Issuer, begun.Subject = identity.Issuer, identity.Subject
	return begun, repo.Exchange{Digest: digest[:], SessionID: begun.ID, ExpiresAt: identity.ExpiresAt}
}

// refuseDisabled records that a disabled user came by a provider.
func (s *Service) refuseDisabled(ctx context.Context, userID, method string, c Client, now time.Time) error {
	s.record(ctx, event("sign_in_failed", userID, "", c, now, map[string]any{"reason": "user_disabled", "method": method}))
	return ErrAccountDisabled
}

// exchangedBefore answers a pair that has opened a session already: with that
// session's tokens where this is a retry whose first answer was lost.
func (s *Service) exchangedBefore(ctx context.Context, digest []byte, c Client, now time.Time) (Grant, error) {
	x, err := s.Store.FindExchange(ctx, digest)
	if err != nil {
		return Grant{}, fmt.Errorf("finding an exchange: %w", err)
	}
	su, err := s.Store.FindSession(ctx, x.SessionID)
	if errors.Is(err, repo.ErrNotFound) {
		return Grant{}, ErrReplayed
	}
	if err != nil {
		return Grant{}, fmt.Errorf("finding a session: %w", err)
	}
	_, dead := StateOf(su).dead(now)
	sameClient := su.Session.IP == c.IP && su.Session.UserAgent == truncate(c.UserAgent, maxUserAgent)
	inGrace := now.Before(su.Session.CreatedAt.Add(s.Policy.Grace))
	if dead || !sameClient || !inGrace || su.Session.Generation != 1 {
		s.record(ctx, event("exchange_replayed", su.User.ID, su.Session.ID, c, now, nil))
		return Grant{}, ErrReplayed
	}
	return s.grant(ctx, su, current(su.Session), nil, now)
}

// userOf returns the user of an identity. Only (issuer, subject) says who it
// is; an e-mail address does so once at most, where a new identity may be linked.
func (s *Service) userOf(ctx context.Context, i cognito.Identity, c Client, now time.Time) (repo.User, error) {
	user, err := s.Store.FindUserByIdentity(ctx, i.Issuer, i.Subject)
	if err == nil {
		return s.follow(ctx, user, i, false, now)
	}
	if !errors.Is(err, repo.ErrNotFound) {
		return repo.User{}, fmt.Errorf("finding a user by identity: %w", err)
	}
	switch used, err := s.usedBefore(ctx, i.IDTokenDigest); { // what the token says may be old, and must change nothing
	case err != nil:
		return repo.User{}, err
	case used: // by another request just now, or its user was deleted since and is not to come back
		return repo.User{}, ErrReplayed
	}
	identity := repo.Identity{Issuer: i.Issuer, Subject: i.Subject, Provider: i.Provider, CreatedAt: now, LastSeenAt: now}
	user, refused, err := s.link(ctx, i, identity, c, now)
	if err != nil {
		return repo.User{}, err
	}
	if user.ID != "" {
		return s.follow(ctx, user, i, false, now)
	}
	details := map[string]any{"method": i.Provider}
	if refused != "" {
		details["not_linked"] = refused
	}
	fresh := s.newUser(i, now)
	wanted := fresh.Username
	for try := range maxUsernameTries {
		if try > 1 && fresh.ID == i.Subject { // it can't be the name again; somebody else has the id
			fresh.ID, details["id_taken"] = newID(), true
		}
		identity.UserID = fresh.ID
		user, created, err := s.Store.CreateUserWithIdentity(ctx, fresh, identity)
		switch {
		case err == nil && created:
			s.record(ctx, event("user_created", user.ID, "", c, now, details))
			return user, nil
		case err == nil: // somebody else's first sign-in was faster
			return user, nil
		case !errors.Is(err, repo.ErrConflict):
			return repo.User{}, fmt.Errorf("creating a user: %w", err)
		}
		fresh.Username = truncate(wanted, maxUsername-suffixLength-1) + "-" + strings.ToLower(rand.Text()[:suffixLength])
	}
	return repo.User{}, fmt.Errorf("creating a user for a new identity of %s: %w", i.Provider, repo.ErrConflict)
}

// usedBefore reports whether an ID token, or a code, has opened a session already.
func (s *Service) usedBefore(ctx context.Context, digest [sha256.Size]byte) (bool, error) {
	_, err := s.Store.FindExchange(ctx, digest[:])
	if errors.Is(err, repo.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finding an exchange: %w", err)
	}
	return true, nil
}

const (
	maxUsername      = 150 // bytes: Django's limit in characters, and so never above it
	suffixLength     = 8
	maxUsernameTries = 4
)

// newUser is the user that an identity's first sign-in makes. It has no
// password, and the name it has at the provider where that is free.
func (s *Service) newUser(i cognito.Identity, now time.Time) repo.User {
	u := repo.User{
		ID: newID(), Username: truncate(i.Username, maxUsername),
		Email: i.Email, EmailVerified: i.Email != "" && i.EmailVerified.Counts(),
		FirstName: i.GivenName, LastName: i.FamilyName,
		Password: "!", IsActive: true, DateJoined: now, UpdatedAt: now,
	}
	u.Attributes = s.withAttributes(u, i)
	if s.Providers[i.Provider].UserIDFromSubject {
		u.ID = i.Subject
	}
	if u.Username == "" {
		u.Username = truncate(i.Subject, maxUsername)
	}
	return u
}
