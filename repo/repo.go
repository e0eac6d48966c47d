package repo

import (
	"context"
	"time"
)

// Repository is all of a store. It MUST be safe for concurrent use by any
// number of processes, and every method that writes MUST do so entirely or not
// at all. A context that is done ends the call with an error that wraps
// ErrUnavailable and the context's error; a statement under way may come to its
// end before, within the store's own bounds.
type Repository interface {
	Users
	Accounts
	Identities
	Sessions
	SessionEnds
	SigningKeys
	KeySets
	Throttle
	AuditEvents
	Clients
	Revocations
	// Ping reports whether the store answers and its schema is the one that this program was built for.
	Ping(ctx context.Context) error
	Close() error
}

// Users keeps accounts.
type Users interface {
	// CreateUser stores a new user. ErrConflict where the id or the username is taken.
	CreateUser(ctx context.Context, u User) error
	// FindUser finds a user by id, FindUserByUsername by the exact username; ErrNotFound otherwise.
	FindUser(ctx context.Context, id string) (User, error)
	FindUserByUsername(ctx context.Context, username string) (User, error)
	// ListUsers returns up to limit users in the order of their ids, those after the given id ("" for the first).
	ListUsers(ctx context.Context, after string, limit int) ([]User, error)
	// UpdateUser stores every field of the user but ID, Password, IsActive, DateJoined and LastLogin.
	// ErrNotFound, or ErrConflict where the new username is taken.
	UpdateUser(ctx context.Context, u User) error
	// UpgradePassword replaces the encoded password by a better encoding of the same password;
	// ErrStale where it is no longer the old one. It ends no session.
	UpgradePassword(ctx context.Context, userID, oldEncoded, newEncoded string, now time.Time) error
}

// Accounts changes what a user may do. Each method ends the sessions that the
// change makes void, stores the cut-off that Revocations has, and records the event, in the same transaction; each is
// ErrNotFound for an unknown user.
type Accounts interface {
	// SetPassword stores a new password and revokes all sessions of the user but keepSession ("" keeps none). ErrStale
	// where the encoded password is no longer oldEncoded, or the user is gone; "" replaces any.
	SetPassword(ctx context.Context, userID, oldEncoded, newEncoded, keepSession string, e AuditEvent) error
	// DisableUser clears IsActive and revokes all sessions. EnableUser sets IsActive.
	DisableUser(ctx context.Context, userID string, e AuditEvent) error
	EnableUser(ctx context.Context, userID string, e AuditEvent) error
	// DeleteUser removes the user, its identities and its sessions; the audit events stay.
	DeleteUser(ctx context.Context, userID string, e AuditEvent) error
}

// Identities keeps which identity provider's subject is which user.
type Identities interface {
	// FindUserByIdentity returns the user behind (issuer, subject), ErrNotFound where there is none yet.
	FindUserByIdentity(ctx context.Context, issuer, subject string) (User, error)
	// CreateUserWithIdentity stores a new user together with its identity. Where (issuer, subject) is there
	// already (two first sign-ins at once), it changes nothing and returns the user that has it and false.
	// ErrConflict says that the username or the id is taken; the caller tries another. Where a user with this id was
	// deleted lately, its Cutoff is at DateJoined then, and no more that of somebody who is gone.
	CreateUserWithIdentity(ctx context.Context, u User, i Identity) (owner User, created bool, err error)
	// FindUsersByEmail returns up to limit users in the order of their ids whose e-mail address is this one but for the
	// case of ASCII letters.
	FindUsersByEmail(ctx context.Context, email string, limit int) ([]User, error)
	// LinkIdentity ties an identity to u, which is there already, and records the event. Where (issuer, subject) is
	// there already, it changes nothing and returns the user that has it and false. ErrStale where u is not active,
	// no longer has the Email, EmailVerified, IsStaff and IsSuperuser that the caller has seen, or has another
	// identity of the issuer or the provider; of many such links to one user exactly one is made.
	LinkIdentity(ctx context.Context, u User, i Identity, e AuditEvent) (owner User, linked bool, err error)
	// FollowProfile stores the e-mail address, the names, the attributes and the UpdatedAt of u, and changes nothing
	// else. ErrStale where its UpdatedAt was not seen before, or there is no such user.
	FollowProfile(ctx context.Context, u User, seen time.Time) error
}

// Sessions is the life of a session, up to its end.
type Sessions interface {
	// StartSession stores a new session, sets the user's LastLogin to its CreatedAt, marks the token of p as used where
	// it has one, touches the identity's LastSeenAt where the session has one, takes the attempts of p back as
	// TakeBackAttempts does, and records the event: all or nothing.
	// ErrConflict where the token was used before; ErrNotFound where the user is gone, not active, or has another
	// password than p says.
	StartSession(ctx context.Context, s Session, p Proof, e AuditEvent) error
	// StartKnownSession is StartSession for who proved an identity: it finds the user behind the Issuer and the Subject of
	// s, puts its id for the UserID of s and of e, and returns the user, whose LastLogin may be the one before or this.
	// s is a beginning: of the first generation, rotated at its CreatedAt, neither late, forgiven nor revoked; and e is of
	// that moment, session and client. What they say to the contrary may not be stored.
	// ErrConflict where the token of x was used before; ErrNotFound where nobody is behind the identity, or somebody
	// who is not active. Sessions that are asked for at the same time may share a statement.
	StartKnownSession(ctx context.Context, s Session, x Exchange, e AuditEvent) (User, error)
	// FindExchange returns the use of an ID token by its digest.
	FindExchange(ctx context.Context, digest []byte) (Exchange, error)
	// RotateSession advances the generation by one, in one statement, which it may share with others that are asked for
	// at the same time, where the session has exactly this generation,
	// is not revoked, neither idle nor absolute end has come at now, and its user is active. RotatedAt becomes now,
	// IdleExpiresAt the earlier of idleExpiresAt and ExpiresAt. It returns the session as it is afterwards.
	// ErrStale where any of this does not hold; why, only FindSession can tell.
	RotateSession(ctx context.Context, id string, generation int64, now, idleExpiresAt time.Time) (SessionUser, error)
	// FindSession returns the session and its user as they are, alive or not.
	FindSession(ctx context.Context, id string) (SessionUser, error)
	// ForgiveLateRetry adds one to LateRetries and records the event, where the session has exactly this
	// generation, is not revoked, and LateRetries is below budget; ErrStale otherwise.
	ForgiveLateRetry(ctx context.Context, id string, generation int64, budget int, e AuditEvent) error
	// SessionAddresses lists where the sessions of the user, alive or not, began: each IP once, in no order.
	SessionAddresses(ctx context.Context, userID string) ([]string, error)
}

// SessionEnds lists sessions and ends them.
type SessionEnds interface {
	// ListSessions returns the user's sessions that are alive at now, the most recently used first.
	ListSessions(ctx context.Context, userID string, now time.Time) ([]Session, error)
	// RevokeSession ends a session and records the event, unless it is revoked already; true where it did so.
	// An unknown session is no error: false.
	RevokeSession(ctx context.Context, id, reason string, e AuditEvent) (bool, error)
	// RevokeUserSessions ends all sessions of the user but keepSession ("" keeps none), records the event,
	// and returns how many it ended.
	RevokeUserSessions(ctx context.Context, userID, keepSession, reason string, e AuditEvent) (int, error)
	// SweepSessions looks at the next limit sessions in the order of their ids, those after the given id ("" for the
	// first), and deletes those whose end (idle, absolute or revoked) came before the given time. Rows that another
	// one holds are passed over, never waited for.
	SweepSessions(ctx context.Context, before time.Time, after string, limit int) (Swept, error)
	// SweepExchanges deletes up to limit exchanges that expired before the given time, and returns how many.
	SweepExchanges(ctx context.Context, before time.Time, limit int) (int, error)
}

// SigningKeys keeps the keys that sign access tokens.
type SigningKeys interface {
	// ListSigningKeys returns all keys, the oldest first.
	ListSigningKeys(ctx context.Context) ([]SigningKey, error)
	// SwapSigningKeys makes after all that the store holds, where it holds exactly before, to the last byte, as
	// ListSigningKeys returned it; the order means nothing. ErrStale, and nothing changes, where somebody was faster: of
	// many replicas that decide on the same keys one succeeds. ErrConflict where after has a key twice.
	SwapSigningKeys(ctx context.Context, before, after []SigningKey) error
}

// KeySets keeps the last good keys of identity providers, so that a restart
// while one can't be reached goes on with them.
type KeySets interface {
	// SaveKeySet stores the JWK Set that was fetched from a URL, in the place of an earlier one. One that was fetched
	// before the one that is there is not stored.
	SaveKeySet(ctx context.Context, url string, body []byte, fetchedAt time.Time) error
	// LoadKeySet returns it, and when it was fetched; ErrNotFound where there is none.
	LoadKeySet(ctx context.Context, url string) (body []byte, fetchedAt time.Time, err error)
}

// Throttle counts attempts in fixed windows, for all replicas together.
type Throttle interface {
	// AddAttempts adds one to each key and returns the counts afterwards, in the order of the keys. A key that is named
	// twice counts once.
	// A key whose window began before windowStart starts again at one, with a window that begins at now.
	AddAttempts(ctx context.Context, keys []string, now, windowStart time.Time) ([]int, error)
	// TakeBackAttempts subtracts one from each key, not below zero; once where it is named twice.
	TakeBackAttempts(ctx context.Context, keys []string) error
	// SweepThrottle deletes up to limit keys whose window began before the given time.
	SweepThrottle(ctx context.Context, before time.Time, limit int) (int, error)
}

// AuditEvents is the append-only record of security events.
type AuditEvents interface {
	RecordEvent(ctx context.Context, e AuditEvent) error
	// ListEvents returns up to limit events of the user ("" for everybody), the newest first.
	ListEvents(ctx context.Context, userID string, limit int) ([]AuditEvent, error)
}
