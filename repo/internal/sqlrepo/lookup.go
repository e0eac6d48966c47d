package sqlrepo

import (
	"context"
	"database/sql"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/batch"
)

const (
	// The columns of a user beside those of another table, in the order of userColumns.
	userBeside = `u.id, u.username, u.email, u.email_verified, u.first_name, u.last_name, u.password, u.is_active, u.is_staff,
		u.is_superuser, u.attributes, u.date_joined, u.last_login, u.updated_at`
	selectUserByIdentity = `SELECT ` + userBeside + ` FROM identities i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2`
	// Many at once are found by one statement on Postgres; for the SELECTs around the arrays see rotateManyPostgres.
	selectUsersByIdentity = `SELECT w.issuer, w.subject, ` + userBeside + `
		FROM unnest((SELECT $1::text[]), (SELECT $2::text[])) AS w (issuer, subject)
		JOIN identities i ON i.issuer = w.issuer AND i.subject = w.subject JOIN users u ON u.id = i.user_id`
)

// lookup is a search for the user of an identity, and what it found.
type lookup struct {
	identity [2]string // issuer, subject
	row      userRow
	err      error
}

// newLookups makes the queue of those who look for the user of an identity; see newRotations.
func (s *Store) newLookups() *batch.Queue[*lookup] {
	return &batch.Queue[*lookup]{
		Size: maxBatch, Patience: batchPatience, Runs: max(1, s.Connections),
		Key: func(l *lookup) string { return l.identity[0] + "\x00" + l.identity[1] }, Run: s.lookUpMany,
	}
}

// FindUserByIdentity finds the user behind an identity.
func (s *Store) FindUserByIdentity(ctx context.Context, issuer, subject string) (repo.User, error) {
	if !s.postgres() || !storable(issuer, subject) {
		return s.user(ctx, selectUserByIdentity, issuer, subject)
	}
	l := &lookup{identity: [2]string{issuer, subject}}
	err := s.lookups.Do(ctx, l)
	if err == nil {
		err = l.err
	}
	if err != nil {
		return repo.User{}, s.fail(ctx, "finding a user", err)
	}
	return l.row.record(), nil
}

func (s *Store) lookUpMany(ctx context.Context, batch []*lookup) {
	if l := batch[0]; len(batch) == 1 {
		l.err = s.row(ctx, l.row.fields(), selectUserByIdentity, l.identity[0], l.identity[1])
		return
	}
	issuers, subjects := make([]string, len(batch)), make([]string, len(batch))
	byIdentity := make(map[[2]string]*lookup, len(batch))
	for i, l := range batch {
		issuers[i], subjects[i] = l.identity[0], l.identity[1]
		byIdentity[l.identity], l.err = l, sql.ErrNoRows
	}
	err := s.rows(ctx, s.Read, selectUsersByIdentity, []any{issuers, subjects}, func(rows *sql.Rows) error {
		var found lookup
		err := rows.Scan(append([]any{&found.identity[0], &found.identity[1]}, found.row.fields()...)...)
		if err == nil {
			*byIdentity[found.identity] = found
		}
		return err
	})
	if err == nil {
		return
	}
	for _, l := range batch {
		l.err = err
	}
}
