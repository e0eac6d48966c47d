package repo

import (
	"context"
	"time"
)

// Client is a service that may ask about tokens (RFC 6749 §2).
type Client struct {
	ID         string // client_id
	Name       string // unique, for people
	SecretHash []byte // SHA-256 of client_secret
	CreatedAt  time.Time
	RotatedAt  time.Time // when the secret was made
}

// Cutoff says that access tokens are refused which the user got until then.
type Cutoff struct {
	UserID  string
	At      time.Time // of the change
	Deleted bool      // the user is gone, and gets no more tokens; false: disabled
}

// Clients keeps the services that may ask about tokens. Each change records the
// event in the same transaction.
type Clients interface {
	// CreateClient stores a new client. ErrConflict where the id or the name is taken.
	CreateClient(ctx context.Context, c Client, e AuditEvent) error
	// FindClient finds a client by id.
	FindClient(ctx context.Context, id string) (Client, error)
	// ListClients returns all clients in the order of their names.
	ListClients(ctx context.Context) ([]Client, error)
	// RotateClientSecret stores another secret of the client of that name, made at the time of the event; ErrNotFound
	// where there is none.
	RotateClientSecret(ctx context.Context, name string, secretHash []byte, e AuditEvent) error
	// DeleteClient removes the client of that name; ErrNotFound where there is none.
	DeleteClient(ctx context.Context, name string, e AuditEvent) error
}

// Revocations is what those must be told who verify tokens and don't ask.
type Revocations interface {
	// RevokedSessions returns the ids of the sessions that were revoked at since or later, in any order. It MUST NOT
	// cost more the more sessions there are that were not.
	RevokedSessions(ctx context.Context, since time.Time) ([]string, error)
	// Cutoffs returns those of since or later, in any order. DisableUser and DeleteUser store them, EnableUser takes
	// that of DisableUser back.
	Cutoffs(ctx context.Context, since time.Time) ([]Cutoff, error)
	// SweepCutoffs deletes up to limit of those that came before the given time.
	SweepCutoffs(ctx context.Context, before time.Time, limit int) (int, error)
}
