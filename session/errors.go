package session

import (
	"errors"
	"fmt"
	"time"
)

// What a use case answers when it did not do what was asked. Faults of the
// store come through as repo.ErrUnavailable, of the identity provider as the
// errors of package cognito, of the hashing as password.ErrBusy.
var (
	// ErrNoActiveAccount: there is no active account with this username and password. Which of it is wrong, the error
	// does not say.
	ErrNoActiveAccount = errors.New("session: no active account with these credentials")
	// ErrNotARefreshToken: none of what was presented is a refresh token of this service. Nothing is known of a session.
	ErrNotARefreshToken = errors.New("session: not a refresh token of this service")
	// ErrReplayed: the ID token has opened a session before, and this is not the same client's retry.
	ErrReplayed = errors.New("session: the ID token was exchanged before")
	// ErrAccountDisabled: the identity is proved, but its account is disabled.
	ErrAccountDisabled = errors.New("session: the account is disabled")
	// ErrSessionOver: the access token is genuine, but its session has ended.
	ErrSessionOver = errors.New("session: the session of the access token is over")
	// ErrNoSuchSession: the user has no session of that id.
	ErrNoSuchSession = errors.New("session: no such session of this user")
	// ErrWrongPassword: the current password, asked for once more, is not right, or was replaced meanwhile.
	ErrWrongPassword = errors.New("session: wrong password")
	// ErrClaimsUnavailable: a service that the claims of the token come from did not answer as it should. Nothing has
	// happened to the session; later it may go well.
	ErrClaimsUnavailable = errors.New("session: the claims are not available")
	// ErrClaims: the claims of this user can't be computed, or are too large for a token, until somebody changes the
	// user or the rules.
	ErrClaims = errors.New("session: the claims can't be made")
	// ErrInvalidClient: no client has this id and secret.
	ErrInvalidClient = errors.New("session: no client with these credentials")
	// ErrNotRevocable: the token is valid, but has no session here that could be ended.
	ErrNotRevocable = errors.New("session: the token has no session")
)

// SignedOutError says that the session is over. Only this error allows the
// caller to delete the cookie.
type SignedOutError struct {
	Kind         Kind // SignedOut or Reuse
	Reason       Reason
	RevokeReason string // of ReasonRevoked
}

func (e *SignedOutError) Error() string {
	if e.RevokeReason != "" {
		return fmt.Sprintf("session: signed out: %s (%s)", e.Reason, e.RevokeReason)
	}
	return fmt.Sprintf("session: signed out: %s", e.Reason)
}

// ThrottledError says that too many attempts were made; the next may be made
// after RetryAfter.
type ThrottledError struct {
	RetryAfter time.Duration

	first bool // of its kind within the window: this one is recorded
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("session: too many attempts, the next in %s", e.RetryAfter)
}
