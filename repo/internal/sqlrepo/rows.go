package sqlrepo

import (
	"database/sql"
	"encoding/json"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
)

// The columns, in the order of the records; never *, so that a schema that has
// more already does no harm.
const (
	userColumns = `id, username, email, email_verified, first_name, last_name, password, is_active, is_staff, is_superuser,
		attributes, date_joined, last_login, updated_at`
	// The same beside the columns of another table.
	userBeside = `u.id, u.username, u.email, u.email_verified, u.first_name, u.last_name, u.password, u.is_active, u.is_staff,
		u.is_superuser, u.attributes, u.date_joined, u.last_login, u.updated_at`
	sessionColumns = `id, user_id, generation, created_at, rotated_at, idle_expires_at, expires_at, late_retries, forgiven_at,
		method, issuer, subject, user_agent, ip, revoked_at, revoke_reason`
	// A session and its user in one row: the names say whose column it is.
	joinedColumns = `s.id AS "s.id", s.user_id AS "s.user_id", s.generation AS "s.generation", s.created_at AS "s.created_at",
		s.rotated_at AS "s.rotated_at", s.idle_expires_at AS "s.idle_expires_at", s.expires_at AS "s.expires_at",
		s.late_retries AS "s.late_retries", s.forgiven_at AS "s.forgiven_at", s.method AS "s.method", s.issuer AS "s.issuer",
		s.subject AS "s.subject", s.user_agent AS "s.user_agent", s.ip AS "s.ip", s.revoked_at AS "s.revoked_at",
		s.revoke_reason AS "s.revoke_reason",
		u.id AS "u.id", u.username AS "u.username", u.email AS "u.email", u.email_verified AS "u.email_verified",
		u.first_name AS "u.first_name", u.last_name AS "u.last_name", u.password AS "u.password", u.is_active AS "u.is_active",
		u.is_staff AS "u.is_staff", u.is_superuser AS "u.is_superuser", u.attributes AS "u.attributes",
		u.date_joined AS "u.date_joined", u.last_login AS "u.last_login", u.updated_at AS "u.updated_at"`
	keyColumns   = `kid, alg, state, sealed_private, public_jwk, created_at, signs_at, retired_at, remove_at`
	eventColumns = `id, at, event, user_id, session_id, ip, user_agent, details`
)

type userRow struct {
	ID            string       `db:"id"`
	Username      string       `db:"username"`
	Email         string       `db:"email"`
	EmailVerified bool         `db:"email_verified"`
	FirstName     string       `db:"first_name"`
	LastName      string       `db:"last_name"`
	Password      string       `db:"password"`
	IsActive      bool         `db:"is_active"`
	IsStaff       bool         `db:"is_staff"`
	IsSuperuser   bool         `db:"is_superuser"`
	Attributes    string       `db:"attributes"`
	DateJoined    time.Time    `db:"date_joined"`
	LastLogin     sql.NullTime `db:"last_login"`
	UpdatedAt     time.Time    `db:"updated_at"`
}

func (r userRow) record() repo.User {
	return repo.User{
		ID: r.ID, Username: r.Username, Email: r.Email, EmailVerified: r.EmailVerified, FirstName: r.FirstName,
		LastName: r.LastName, Password: r.Password, IsActive: r.IsActive, IsStaff: r.IsStaff, IsSuperuser: r.IsSuperuser,
		Attributes: json.RawMessage(r.Attributes), DateJoined: micro(r.DateJoined), LastLogin: fromNull(r.LastLogin),
		UpdatedAt: micro(r.UpdatedAt),
	}
}

// fields are where the values of userColumns go. They are read at each request,
// and so without sqlx's reflection.
func (r *userRow) fields() []any {
	return []any{
		&r.ID, &r.Username, &r.Email, &r.EmailVerified, &r.FirstName, &r.LastName, &r.Password, &r.IsActive, &r.IsStaff, &r.IsSuperuser,
		&r.Attributes, &r.DateJoined, &r.LastLogin, &r.UpdatedAt,
	}
}

// userArgs are the values of userColumns.
func userArgs(u repo.User) []any {
	return []any{
		u.ID, u.Username, u.Email, u.EmailVerified, u.FirstName, u.LastName, u.Password, u.IsActive, u.IsStaff, u.IsSuperuser,
		object(u.Attributes), micro(u.DateJoined), nullable(u.LastLogin), micro(u.UpdatedAt),
	}
}

type sessionRow struct {
	ID            string       `db:"id"`
	UserID        string       `db:"user_id"`
	Generation    int64        `db:"generation"`
	CreatedAt     time.Time    `db:"created_at"`
	RotatedAt     time.Time    `db:"rotated_at"`
	IdleExpiresAt time.Time    `db:"idle_expires_at"`
	ExpiresAt     time.Time    `db:"expires_at"`
	LateRetries   int          `db:"late_retries"`
	ForgivenAt    sql.NullTime `db:"forgiven_at"`
	Method        string       `db:"method"`
	Issuer        string       `db:"issuer"`
	Subject       string       `db:"subject"`
	UserAgent     string       `db:"user_agent"`
	IP            string       `db:"ip"`
	RevokedAt     sql.NullTime `db:"revoked_at"`
	RevokeReason  string       `db:"revoke_reason"`
}

func (r sessionRow) record() repo.Session {
	return repo.Session{
		ID: r.ID, UserID: r.UserID, Generation: r.Generation, CreatedAt: micro(r.CreatedAt), RotatedAt: micro(r.RotatedAt),
		IdleExpiresAt: micro(r.IdleExpiresAt), ExpiresAt: micro(r.ExpiresAt), LateRetries: r.LateRetries,
		ForgivenAt: fromNull(r.ForgivenAt), Method: r.Method, Issuer: r.Issuer, Subject: r.Subject, UserAgent: r.UserAgent,
		IP: r.IP, RevokedAt: fromNull(r.RevokedAt), RevokeReason: r.RevokeReason,
	}
}

// sessionArgs are the values of sessionColumns.
func sessionArgs(s repo.Session) []any {
	return []any{
		s.ID, s.UserID, s.Generation, micro(s.CreatedAt), micro(s.RotatedAt), micro(s.IdleExpiresAt), micro(s.ExpiresAt),
		s.LateRetries, nullable(s.ForgivenAt), s.Method, s.Issuer, s.Subject, s.UserAgent, s.IP, nullable(s.RevokedAt),
		s.RevokeReason,
	}
}

type joinedRow struct {
	Session sessionRow `db:"s"`
	User    userRow    `db:"u"`
}

// fields are where the values of joinedColumns go; see userRow.fields.
func (r *joinedRow) fields() []any {
	s := &r.Session
	return append([]any{
		&s.ID, &s.UserID, &s.Generation, &s.CreatedAt, &s.RotatedAt, &s.IdleExpiresAt, &s.ExpiresAt, &s.LateRetries, &s.ForgivenAt,
		&s.Method, &s.Issuer, &s.Subject, &s.UserAgent, &s.IP, &s.RevokedAt, &s.RevokeReason,
	}, r.User.fields()...)
}

func (r joinedRow) record() repo.SessionUser {
	return repo.SessionUser{Session: r.Session.record(), User: r.User.record()}
}

type keyRow struct {
	KeyID         string       `db:"kid"`
	Algorithm     string       `db:"alg"`
	State         string       `db:"state"`
	SealedPrivate []byte       `db:"sealed_private"`
	PublicJWK     string       `db:"public_jwk"`
	CreatedAt     time.Time    `db:"created_at"`
	SignsAt       time.Time    `db:"signs_at"`
	RetiredAt     sql.NullTime `db:"retired_at"`
	RemoveAt      sql.NullTime `db:"remove_at"`
}

func (r keyRow) record() repo.SigningKey {
	return repo.SigningKey{
		KeyID: r.KeyID, Algorithm: r.Algorithm, State: r.State, SealedPrivate: r.SealedPrivate,
		PublicJWK: json.RawMessage(r.PublicJWK), CreatedAt: micro(r.CreatedAt), SignsAt: micro(r.SignsAt),
		RetiredAt: fromNull(r.RetiredAt), RemoveAt: fromNull(r.RemoveAt),
	}
}

type eventRow struct {
	ID        string    `db:"id"`
	At        time.Time `db:"at"`
	Event     string    `db:"event"`
	UserID    string    `db:"user_id"`
	SessionID string    `db:"session_id"`
	IP        string    `db:"ip"`
	UserAgent string    `db:"user_agent"`
	Details   string    `db:"details"`
}

func (r eventRow) record() repo.AuditEvent {
	return repo.AuditEvent{
		ID: r.ID, At: micro(r.At), Event: r.Event, UserID: r.UserID, SessionID: r.SessionID, IP: r.IP, UserAgent: r.UserAgent,
		Details: json.RawMessage(r.Details),
	}
}

// eventValues is how many eventColumns there are.
const eventValues = 8

// eventArgs are the values of eventColumns.
func eventArgs(e repo.AuditEvent) []any {
	return []any{e.ID, micro(e.At), e.Event, e.UserID, e.SessionID, e.IP, e.UserAgent, object(e.Details)}
}
