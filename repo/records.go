package repo

import (
	"encoding/json"
	"time"
)

// User is an account. Password is in one of the encoded forms that package
// password reads; an empty one, or one that starts with "!", opens no door.
type User struct {
	ID            string // a UUIDv7 for new users; an imported user keeps its old id
	Username      string // unique, case-sensitive
	Email         string // may be empty; not unique, and never says who somebody is
	EmailVerified bool   // true only where somebody proved the mailbox
	FirstName     string
	LastName      string
	Password      string
	IsActive      bool
	IsStaff       bool
	IsSuperuser   bool
	Attributes    json.RawMessage // a JSON object; empty means {}
	DateJoined    time.Time
	LastLogin     time.Time // zero: never
	UpdatedAt     time.Time
}

// Identity ties a user to one subject of one identity provider.
type Identity struct {
	Issuer     string
	Subject    string
	UserID     string
	Provider   string // the name it has in the configuration
	CreatedAt  time.Time
	LastSeenAt time.Time
}

// Session is one sign-in and all refresh tokens that descend from it.
type Session struct {
	ID            string
	UserID        string
	Generation    int64     // of the refresh token that is current; the first is 1
	CreatedAt     time.Time // of the sign-in
	RotatedAt     time.Time // when Generation became current
	IdleExpiresAt time.Time // when the current refresh token expires; never after ExpiresAt
	ExpiresAt     time.Time // the absolute end
	LateRetries   int       // how many late retries were forgiven so far
	ForgivenAt    time.Time // when the last of them was; zero: none
	Method        string    // "password" or the name of the identity provider
	Issuer        string    // of the identity that signed in; empty for a password
	Subject       string
	UserAgent     string
	IP            string
	RevokedAt     time.Time // zero: not revoked
	RevokeReason  string
}

// SessionUser is a session together with its user.
type SessionUser struct {
	Session Session
	User    User
}

// SigningKey is a key pair for access tokens. The private half is sealed; this
// package can't read it.
type SigningKey struct {
	KeyID         string // RFC 7638 thumbprint of the public key
	Algorithm     string // JWS "alg"
	State         string // as it was stored: "published", "signing", or "retired" once RetiredAt is decided; the times decide
	SealedPrivate []byte
	PublicJWK     json.RawMessage
	CreatedAt     time.Time
	SignsAt       time.Time // from when it may sign
	RetiredAt     time.Time // zero: not yet
	RemoveAt      time.Time // zero: not yet decided
}

// Exchange marks an ID token as used, by its digest.
type Exchange struct {
	Digest    []byte // SHA-256 of the token
	SessionID string
	ExpiresAt time.Time // of the token; after it the row may go
}

// Proof is what somebody who starts a session has shown. The zero value is
// nothing that the store has to look at.
type Proof struct {
	Password string    // the User.Password that theirs was found to be; the session starts only while the user has it
	Exchange *Exchange // the ID token, which starts one session
	Attempts []string  // the Throttle's keys by which this very sign-in was counted; none beside an Exchange
}

// AuditEvent is one line of the append-only record of security events.
type AuditEvent struct {
	ID        string // a UUIDv7
	At        time.Time
	Event     string // "sign_in", "refresh_reuse", ...
	UserID    string // empty: not known
	SessionID string // empty: none
	IP        string
	UserAgent string
	Details   json.RawMessage // a JSON object, never a secret; empty means {}
}

// Swept is what one step of a sweep did.
type Swept struct {
	Removed int
	Next    string // the id after which the next step goes on; empty: this one came to the end
}
