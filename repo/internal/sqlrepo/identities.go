package sqlrepo

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	selectUserByIdentity = `SELECT ` + userBeside + ` FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2`
	insertIdentity       = `INSERT INTO identities (issuer, subject, user_id, provider, created_at, last_seen_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (issuer, subject) DO NOTHING`

	// The two texts fold the letters of ASCII alone, as the index of each engine does.
	selectByEmailPostgres = `SELECT ` + userColumns + ` FROM users WHERE lower(email COLLATE "C") = lower($1::text COLLATE "C") ORDER BY id LIMIT $2`
	selectByEmailSQLite   = `SELECT ` + userColumns + ` FROM users WHERE lower(email) = lower($1) ORDER BY id LIMIT $2`

	// A link locks the user first: whoever links another subject of the issuer, or changes the user, comes before or after it.
	lockLinkable = `UPDATE users SET updated_at = $6
		WHERE id = $1 AND is_active AND email = $2 AND email_verified = $3 AND is_staff = $4 AND is_superuser = $5`
	linkIdentity = `INSERT INTO identities (issuer, subject, user_id, provider, created_at, last_seen_at)
		SELECT $1, $2, u.id, $4, $5, $6 FROM users u
		WHERE u.id = $3 AND NOT EXISTS (SELECT 1 FROM identities o WHERE o.user_id = u.id AND (o.issuer = $1 OR o.provider = $4))
		ON CONFLICT (issuer, subject) DO NOTHING`
	followProfile = `UPDATE users SET email = $2, email_verified = $3, first_name = $4, last_name = $5, attributes = $6, updated_at = $7
		WHERE id = $1 AND updated_at = $8`
)

// FindUserByIdentity finds the user behind an identity.
func (s *Store) FindUserByIdentity(ctx context.Context, issuer, subject string) (repo.User, error) {
	return s.user(ctx, selectUserByIdentity, issuer, subject)
}

// FindUsersByEmail finds the users who have an e-mail address.
func (s *Store) FindUsersByEmail(ctx context.Context, email string, limit int) ([]repo.User, error) {
	text := selectByEmailSQLite
	if s.postgres() {
		text = selectByEmailPostgres
	}
	return s.users(ctx, text, email, limit)
}

// errTaken ends the transaction of a first sign-in that another one overtook.
var errTaken = errors.New("sqlrepo: the identity is taken")

// CreateUserWithIdentity stores a user with its identity, or finds who has it.
func (s *Store) CreateUserWithIdentity(ctx context.Context, u repo.User, i repo.Identity) (owner repo.User, created bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		if _, err := changeIn(ctx, tx, insertUser, userArgs(u)...); err != nil {
			return err
		}
		n, err := changeIn(ctx, tx, insertIdentity, i.Issuer, i.Subject, u.ID, i.Provider, micro(i.CreatedAt), micro(i.LastSeenAt))
		if err == nil && n == 0 {
			err = errTaken
		}
		if err == nil {
			_, err = changeIn(ctx, tx, backAgain, u.ID, micro(u.DateJoined))
		}
		return err
	})
	if err == nil {
		u.DateJoined, u.UpdatedAt, u.LastLogin = micro(u.DateJoined), micro(u.UpdatedAt), fromNull(nullable(u.LastLogin))
		return u, true, nil
	}
	failed := s.fail(ctx, "creating a user with an identity", err)
	if !errors.Is(err, errTaken) && !errors.Is(failed, repo.ErrConflict) {
		return repo.User{}, false, failed
	}
	// The username may be taken by the very user of this identity, whose sign-in was faster.
	owner, err = s.FindUserByIdentity(ctx, i.Issuer, i.Subject)
	if errors.Is(err, repo.ErrNotFound) {
		return repo.User{}, false, failed
	}
	return owner, false, err
}

// LinkIdentity ties an identity to a user, or finds who has it.
func (s *Store) LinkIdentity(ctx context.Context, u repo.User, i repo.Identity, e repo.AuditEvent) (owner repo.User, linked bool, err error) {
	err = s.inTx(ctx, func(tx *sqlx.Tx) error {
		n, err := changeIn(ctx, tx, lockLinkable, u.ID, u.Email, u.EmailVerified, u.IsStaff, u.IsSuperuser, micro(e.At))
		if err == nil && n > 0 {
			n, err = changeIn(ctx, tx, linkIdentity, i.Issuer, i.Subject, u.ID, i.Provider, micro(i.CreatedAt), micro(i.LastSeenAt))
		}
		if err == nil && n == 0 {
			err = repo.ErrStale
		}
		if err == nil {
			_, err = changeIn(ctx, tx, insertEvent, eventArgs(e)...)
		}
		return err
	})
	if err != nil && !errors.Is(err, repo.ErrStale) {
		return repo.User{}, false, s.fail(ctx, "linking an identity", err)
	}
	linked = err == nil
	// Where nothing was linked, a sign-in of the same identity may have been faster.
	owner, err = s.FindUserByIdentity(ctx, i.Issuer, i.Subject)
	if errors.Is(err, repo.ErrNotFound) {
		err = s.fail(ctx, "linking an identity", repo.ErrStale)
	}
	return owner, linked, err
}

// FollowProfile stores what an identity provider says of a user.
func (s *Store) FollowProfile(ctx context.Context, u repo.User, seen time.Time) error {
	n, err := s.change(ctx, followProfile, u.ID, u.Email, u.EmailVerified, u.FirstName, u.LastName, object(u.Attributes),
		micro(u.UpdatedAt), micro(seen))
	if err == nil && n == 0 {
		err = repo.ErrStale
	}
	return s.fail(ctx, "following a profile", err)
}
