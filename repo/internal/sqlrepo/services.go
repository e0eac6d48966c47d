package sqlrepo

import (
	"context"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/jmoiron/sqlx"
)

const (
	clientColumns = `id, name, secret_hash, created_at, rotated_at`
	insertClient  = `INSERT INTO clients (` + clientColumns + `) VALUES ($1, $2, $3, $4, $5)`
	selectClient  = `SELECT ` + clientColumns + ` FROM clients WHERE id = $1`
	selectClients = `SELECT ` + clientColumns + ` FROM clients ORDER BY name`
	rotateSecret  = `UPDATE clients SET secret_hash = $2, rotated_at = $3 WHERE name = $1`
	deleteClient  = `DELETE FROM clients WHERE name = $1`

	selectRevoked = `SELECT id FROM sessions WHERE revoked_at >= $1`
	storeCutoff   = `INSERT INTO cutoffs (user_id, at, deleted) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO UPDATE SET at = $2, deleted = $3`
	backAgain     = `UPDATE cutoffs SET at = $2, deleted = FALSE WHERE user_id = $1`
	dropCutoff    = `DELETE FROM cutoffs WHERE user_id = $1`
	selectCutoffs = `SELECT user_id, at, deleted FROM cutoffs WHERE at >= $1`

	sweepCutoffsPostgres = `DELETE FROM cutoffs WHERE user_id = ANY (ARRAY(SELECT user_id FROM cutoffs WHERE at < $1
		ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))`
	sweepCutoffsSQLite = `DELETE FROM cutoffs WHERE user_id IN (SELECT user_id FROM cutoffs WHERE at < $1
		ORDER BY at LIMIT $2)`
)

type clientRow struct {
	ID         string    `db:"id"`
	Name       string    `db:"name"`
	SecretHash []byte    `db:"secret_hash"`
	CreatedAt  time.Time `db:"created_at"`
	RotatedAt  time.Time `db:"rotated_at"`
}

func (r clientRow) record() repo.Client {
	return repo.Client{
		ID: r.ID, Name: r.Name, SecretHash: r.SecretHash, CreatedAt: micro(r.CreatedAt), RotatedAt: micro(r.RotatedAt),
	}
}

// CreateClient stores a new client.
func (s *Store) CreateClient(ctx context.Context, c repo.Client, e repo.AuditEvent) error {
	return s.changeClient(ctx, "creating a client", e, insertClient, c.ID, c.Name, c.SecretHash, micro(c.CreatedAt), micro(c.RotatedAt))
}

// FindClient finds a client by id.
func (s *Store) FindClient(ctx context.Context, id string) (repo.Client, error) {
	var row clientRow
	if err := s.get(ctx, &row, selectClient, id); err != nil {
		return repo.Client{}, s.fail(ctx, "finding a client", err)
	}
	return row.record(), nil
}

// ListClients lists all clients.
func (s *Store) ListClients(ctx context.Context) ([]repo.Client, error) {
	var rows []clientRow
	if err := s.list(ctx, &rows, selectClients); err != nil {
		return nil, s.fail(ctx, "listing clients", err)
	}
	clients := make([]repo.Client, 0, len(rows))
	for _, row := range rows {
		clients = append(clients, row.record())
	}
	return clients, nil
}

// RotateClientSecret stores another secret of a client.
func (s *Store) RotateClientSecret(ctx context.Context, name string, secretHash []byte, e repo.AuditEvent) error {
	return s.changeClient(ctx, "rotating a client's secret", e, rotateSecret, name, secretHash, micro(e.At))
}

// DeleteClient removes a client.
func (s *Store) DeleteClient(ctx context.Context, name string, e repo.AuditEvent) error {
	return s.changeClient(ctx, "deleting a client", e, deleteClient, name)
}

func (s *Store) changeClient(ctx context.Context, doing string, e repo.AuditEvent, text string, args ...any) error {
	_, err := s.withEvent(ctx, e, text, args...)
	if err != nil && unlessNone(err) == nil {
		err = repo.ErrNotFound
	}
	return s.fail(ctx, doing, err)
}

// RevokedSessions lists the sessions that were revoked lately.
func (s *Store) RevokedSessions(ctx context.Context, since time.Time) ([]string, error) {
	var ids []string
	err := s.list(ctx, &ids, selectRevoked, micro(since))
	return ids, s.fail(ctx, "listing revoked sessions", err)
}

// Cutoffs lists the cut-offs of late.
func (s *Store) Cutoffs(ctx context.Context, since time.Time) ([]repo.Cutoff, error) {
	var rows []struct {
		UserID  string    `db:"user_id"`
		At      time.Time `db:"at"`
		Deleted bool      `db:"deleted"`
	}
	if err := s.list(ctx, &rows, selectCutoffs, micro(since)); err != nil {
		return nil, s.fail(ctx, "listing cut-offs", err)
	}
	cutoffs := make([]repo.Cutoff, 0, len(rows))
	for _, row := range rows {
		cutoffs = append(cutoffs, repo.Cutoff{UserID: row.UserID, At: micro(row.At), Deleted: row.Deleted})
	}
	return cutoffs, nil
}

// SweepCutoffs deletes cut-offs.
func (s *Store) SweepCutoffs(ctx context.Context, before time.Time, limit int) (int, error) {
	text := sweepCutoffsSQLite
	if s.postgres() {
		text = sweepCutoffsPostgres
	}
	n, err := s.change(ctx, text, micro(before), limit)
	return int(n), s.fail(ctx, "sweeping cut-offs", err)
}

// cutOff stores in a change to a user that its tokens are refused.
func cutOff(ctx context.Context, tx *sqlx.Tx, userID string, e repo.AuditEvent, deleted bool) error {
	_, err := changeIn(ctx, tx, storeCutoff, userID, micro(e.At), deleted)
	return err
}
