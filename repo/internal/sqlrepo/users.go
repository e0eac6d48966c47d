package sqlrepo

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	insertUser = `INSERT INTO users (` + userColumns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	selectUser           = `SELECT ` + userColumns + ` FROM users WHERE id = $1`
	selectUserByUsername = `SELECT ` + userColumns + ` FROM users WHERE username = $1`
	selectUsers          = `SELECT ` + userColumns + ` FROM users WHERE id > $1 ORDER BY id LIMIT $2`
	updateUser           = `UPDATE users SET username = $2, email = $3, email_verified = $4, first_name = $5, last_name = $6,
		is_staff = $7, is_superuser = $8, attributes = $9, updated_at = $10 WHERE id = $1`
	upgradePassword = `UPDATE users SET password = $3, updated_at = $4 WHERE id = $1 AND password = $2`
	setPassword     = `UPDATE users SET password = $3, updated_at = $4 WHERE id = $1 AND $2 IN ('', password)`
	setActive       = `UPDATE users SET is_active = $2, updated_at = $3 WHERE id = $1`
	deleteUser      = `DELETE FROM users WHERE id = $1`
)

// CreateUser stores a new user.
func (s *Store) CreateUser(ctx context.Context, u repo.User) error {
	_, err := s.change(ctx, insertUser, userArgs(u)...)
	return s.fail(ctx, "creating a user", err)
}

// FindUser finds a user by id.
func (s *Store) FindUser(ctx context.Context, id string) (repo.User, error) {
	return s.user(ctx, selectUser, id)
}

// FindUserByUsername finds a user by the exact name.
func (s *Store) FindUserByUsername(ctx context.Context, username string) (repo.User, error) {
	return s.user(ctx, selectUserByUsername, username)
}

func (s *Store) user(ctx context.Context, text string, args ...any) (repo.User, error) {
	var row userRow
	if err := s.row(ctx, row.fields(), text, args...); err != nil {
		return repo.User{}, s.fail(ctx, "finding a user", err)
	}
	return row.record(), nil
}

// ListUsers lists users in the order of their ids.
func (s *Store) ListUsers(ctx context.Context, after string, limit int) ([]repo.User, error) {
	return s.users(ctx, selectUsers, after, limit)
}

func (s *Store) users(ctx context.Context, text string, args ...any) ([]repo.User, error) {
	var rows []userRow
	if err := s.list(ctx, &rows, text, args...); err != nil {
		return nil, s.fail(ctx, "listing users", err)
	}
	users := make([]repo.User, 0, len(rows))
	for _, row := range rows {
		users = append(users, row.record())
	}
	return users, nil
}

// UpdateUser stores what may be changed of a user.
func (s *Store) UpdateUser(ctx context.Context, u repo.User) error {
	n, err := s.change(ctx, updateUser, u.ID, u.Username, u.Email, u.EmailVerified, u.FirstName, u.LastName, u.IsStaff, u.IsSuperuser,
		object(u.Attributes), micro(u.UpdatedAt))
	if err == nil && n == 0 {
		err = repo.ErrNotFound
	}
	return s.fail(ctx, "updating a user", err)
}

// UpgradePassword replaces an encoding by a better one of the same password.
func (s *Store) UpgradePassword(ctx context.Context, userID, oldEncoded, newEncoded string, now time.Time) error {
	n, err := s.change(ctx, upgradePassword, userID, oldEncoded, newEncoded, micro(now))
	if err == nil && n == 0 {
		err = repo.ErrStale
	}
	return s.fail(ctx, "upgrading a password", err)
}

// SetPassword stores a new password and ends the sessions but one.
func (s *Store) SetPassword(ctx context.Context, userID, oldEncoded, newEncoded, keepSession string, e repo.AuditEvent) error {
	return s.account(ctx, "setting a password", userID, e, func(tx *sqlx.Tx) (int64, error) {
		n, err := changeIn(ctx, tx, setPassword, userID, oldEncoded, newEncoded, micro(e.At))
		if err == nil && n == 0 && oldEncoded != "" {
			err = repo.ErrStale
		}
		if err == nil {
			_, err = changeIn(ctx, tx, revokeUserSessions, userID, keepSession, micro(e.At), e.Event)
		}
		return n, err
	})
}

// DisableUser disables a user and ends its sessions.
func (s *Store) DisableUser(ctx context.Context, userID string, e repo.AuditEvent) error {
	return s.account(ctx, "disabling a user", userID, e, func(tx *sqlx.Tx) (int64, error) {
		n, err := changeIn(ctx, tx, setActive, userID, false, micro(e.At))
		if err == nil {
			_, err = changeIn(ctx, tx, revokeUserSessions, userID, "", micro(e.At), e.Event)
		}
		if err == nil {
			err = cutOff(ctx, tx, userID, e, false)
		}
		return n, err
	})
}

// EnableUser enables a user.
func (s *Store) EnableUser(ctx context.Context, userID string, e repo.AuditEvent) error {
	return s.account(ctx, "enabling a user", userID, e, func(tx *sqlx.Tx) (int64, error) {
		n, err := changeIn(ctx, tx, setActive, userID, true, micro(e.At))
		if err == nil {
			_, err = changeIn(ctx, tx, dropCutoff, userID)
		}
		return n, err
	})
}

// DeleteUser removes a user with what belongs to it.
func (s *Store) DeleteUser(ctx context.Context, userID string, e repo.AuditEvent) error {
	return s.account(ctx, "deleting a user", userID, e, func(tx *sqlx.Tx) (int64, error) {
		n, err := changeIn(ctx, tx, deleteUser, userID)
		if err == nil {
			err = cutOff(ctx, tx, userID, e, true)
		}
		return n, err
	})
}

// account makes a change to one user and records its event, in one transaction.
func (s *Store) account(
	ctx context.Context, doing, userID string, e repo.AuditEvent, f func(*sqlx.Tx) (int64, error),
) error {
	if !storable(userID) {
		return s.fail(ctx, doing, repo.ErrNotFound)
	}
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		n, err := f(tx)
		if err != nil {
			return err
		}
		if n == 0 {
			return repo.ErrNotFound
		}
		_, err = changeIn(ctx, tx, insertEvent, eventArgs(e)...)
		return err
	})
	return s.fail(ctx, doing, err)
}
