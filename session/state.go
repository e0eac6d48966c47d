package session

import "time"

// State is what the store knows of a session at the moment of asking. It must
// be read where writes go: a standby that lags shows a generation that is past,
// and Decide can't tell that from a store that lost history.
type State struct {
	Exists        bool      // false: no such session, or its user was deleted; the rest is then ignored
	Generation    int64     // of the refresh token that is current; the first is 1
	RotatedAt     time.Time // when Generation became current: the iat of the current token
	IdleExpiresAt time.Time // when the current token expires: its exp; never after ExpiresAt
	ExpiresAt     time.Time // the absolute end
	LateRetries   int       // how many late retries this session was forgiven so far; rotation never resets it
	ForgivenAt    time.Time // when the last of them was forgiven; zero: none, or not kept
	RevokedAt     time.Time // zero: not revoked
	RevokeReason  string
	UserActive    bool
}

// Policy is how much a session forgives and how long its tokens live.
type Policy struct {
	Grace           time.Duration // how long after a rotation the previous token still gets its successor; zero: never
	LateRetries     int           // how often in a session's life it gets it later than that; zero: never
	RefreshLifetime time.Duration // of a refresh token, and so the idle lifetime of a session
}

// Presented is what a refresh token says once its signature is verified. Its
// own exp is not part of it, and the caller must not refuse a token for it:
// where an answer was lost, the token that the client still has may be past its
// exp while the session, which the store has extended, is not.
type Presented struct {
	Generation int64
}

// Kind is the closed set of what can come of presenting a refresh token. That
// the store can't be reached is none of them: it is an error, after which
// nothing is known of the session and the cookie stays.
type Kind uint8

// The kinds. The zero Kind grants nothing.
const (
	// SignedOut: the session is dead, for the Reason given. The cookie is deleted.
	SignedOut Kind = iota
	// Rotate: advance the session from the presented generation to the successor's and answer with it.
	Rotate
	// Retry: answer with the successor, which exists already. Nothing is written.
	Retry
	// LateRetry: the same, but the session pays with one of its late retries, and the event is recorded.
	LateRetry
	// Reuse: revoke the session, record the event, delete the cookie. Reason says what gave it away.
	Reuse
)

// String returns the name of the kind in snake case.
func (k Kind) String() string {
	switch k {
	case SignedOut:
		return "signed_out"
	case Rotate:
		return "rotate"
	case Retry:
		return "retry"
	case LateRetry:
		return "late_retry"
	case Reuse:
		return "reuse"
	}
	return "invalid"
}

// Reason is the closed set of why a refresh token grants nothing.
type Reason uint8

// The reasons.
const (
	// ReasonUnknown: the store has no such session: it never had, it was swept, or its user was deleted.
	ReasonUnknown Reason = iota
	// ReasonRevoked: the session was ended; the outcome's RevokeReason says by what.
	ReasonRevoked
	// ReasonUserDisabled: the user may not sign in.
	ReasonUserDisabled
	// ReasonExpired: the session's absolute end has come.
	ReasonExpired
	// ReasonIdle: the session was not refreshed for the lifetime of a refresh token.
	ReasonIdle
	// ReasonSuperseded: the token was superseded, and neither the grace nor a late retry covers it (RFC 9700 §4.14.2).
	ReasonSuperseded
	// ReasonAhead: the token is newer than the store's current one. Only this service signs refresh tokens, so the
	// store lost rotations that it had acknowledged: it was restored from a backup, or failed over to a standby
	// that lagged.
	ReasonAhead
)

// String returns the name of the reason in snake case, as audit events and logs have it.
func (r Reason) String() string {
	switch r {
	case ReasonUnknown:
		return "unknown"
	case ReasonRevoked:
		return "revoked"
	case ReasonUserDisabled:
		return "user_disabled"
	case ReasonExpired:
		return "expired"
	case ReasonIdle:
		return "idle"
	case ReasonSuperseded:
		return "superseded"
	case ReasonAhead:
		return "ahead"
	}
	return "invalid"
}

// Successor is the refresh token to answer with. Together with the session's id
// it determines the token to the byte, so whoever asks again gets the same one.
type Successor struct {
	Generation int64
	IssuedAt   time.Time
	ExpiresAt  time.Time // never after the session's absolute end
}

// Outcome is what Decide answers. The zero Outcome is SignedOut with
// ReasonUnknown.
type Outcome struct {
	Kind         Kind
	Reason       Reason    // of SignedOut and Reuse
	RevokeReason string    // of ReasonRevoked: the one that the session was revoked with
	Successor    Successor // of Rotate, Retry and LateRetry
}

// Granted reports whether the outcome answers with a token. Where it does not,
// the session is dead once the outcome is carried out, and only then may the
// cookie be deleted.
func (o Outcome) Granted() bool {
	return o.Kind == Rotate || o.Kind == Retry || o.Kind == LateRetry
}

// Decide says what comes of presenting a refresh token at now. It is pure, and
// total: every state and every generation has an answer.
//
// The answer holds for the state given. Whoever carries it out does so with a
// write that fails when the state has moved on, and then reads and asks again.
//
// A generation ahead of the store's kills the session, as reuse does. What the
// store lost may have been a sign-out or a theft found out, and going on from
// the older generation would make tokens current again that were superseded
// long ago. Those who refreshed since the backup have to sign in again; the
// reason of its own keeps that from looking like theft on a large scale.
func Decide(s State, p Presented, policy Policy, now time.Time) Outcome {
	if reason, dead := s.dead(now); dead {
		out := Outcome{Kind: SignedOut, Reason: reason}
		if reason == ReasonRevoked {
			out.RevokeReason = s.RevokeReason
		}
		return out
	}
	current := Successor{Generation: s.Generation, IssuedAt: s.RotatedAt, ExpiresAt: s.IdleExpiresAt}
	switch {
	case p.Generation > s.Generation:
		return Outcome{Kind: Reuse, Reason: ReasonAhead}
	case p.Generation == s.Generation:
		next := Successor{s.Generation + 1, now, earlier(now.Add(policy.RefreshLifetime), s.ExpiresAt)}
		return Outcome{Kind: Rotate, Successor: next}
	case p.Generation < s.Generation-1:
		return Outcome{Kind: Reuse, Reason: ReasonSuperseded}
	case s.inGrace(policy.Grace, now):
		return Outcome{Kind: Retry, Successor: current}
	case s.LateRetries < policy.LateRetries:
		return Outcome{Kind: LateRetry, Successor: current}
	}
	return Outcome{Kind: Reuse, Reason: ReasonSuperseded}
}

// dead reports whether the session has ended, and by what.
func (s State) dead(now time.Time) (Reason, bool) {
	switch {
	case !s.Exists:
		return ReasonUnknown, true
	case !s.RevokedAt.IsZero():
		return ReasonRevoked, true
	case !s.UserActive:
		return ReasonUserDisabled, true
	case !now.Before(s.ExpiresAt):
		return ReasonExpired, true
	case !now.Before(s.IdleExpiresAt):
		return ReasonIdle, true
	}
	return 0, false
}

// inGrace reports whether the previous token is still forgiven for free. A late
// retry that was forgiven opens the grace again: the tabs of a browser that wakes
// up retry one lost answer together, and only the first of them should pay.
func (s State) inGrace(grace time.Duration, now time.Time) bool {
	since := s.RotatedAt
	if s.ForgivenAt.After(since) {
		since = s.ForgivenAt
	}
	return now.Before(since.Add(grace))
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
