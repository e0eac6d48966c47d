// Package postgres is the repository in PostgreSQL, version 14 or later, for any
// number of processes.
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/sqlrepo"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Config is how Postgres is reached and used.
type Config struct {
	// DSN is a URL (postgres://user@host/db?sslmode=verify-full) or key=value pairs, in which host and port may be lists
	// for a fail-over (host=a,b port=5432,5432). sslmode is lib/pq's: require where nothing is said. target_session_attrs
	// is primary: a standby is not connected to. A statement_timeout has no place in it. Required.
	DSN              string
	MaxConnections   int           // of this process; 0: 16
	StatementTimeout time.Duration // for one statement, in Postgres; 0: 5 seconds
}

// Store is the repository. It fulfils repo.Repository.
type Store struct {
	*sqlrepo.Store
	unbounded pq.Config // for migrations, which take the time they take
}

// connectionLifetime bounds how long a connection is used, so that a fail-over
// or a new address is found.
const connectionLifetime = 30 * time.Minute

// Open checks the configuration and returns the store. It does not connect.
func Open(c Config) (*Store, error) {
	switch {
	case c.DSN == "": // the driver would take whatever the environment names
		return nil, errors.New("postgres: the connection string must be given")
	case c.MaxConnections < 0:
		return nil, errors.New("postgres: the number of connections must not be negative")
	case c.StatementTimeout < 0 || c.StatementTimeout > 0 && c.StatementTimeout < time.Millisecond: // Postgres reads 0 as no bound
		return nil, errors.New("postgres: the statement timeout must be at least a millisecond")
	}
	if u, err := url.Parse(c.DSN); err == nil && strings.Contains(u.Host, ",") && strings.Contains(u.Host, ":") {
		return nil, errors.New("postgres: several hosts with ports need the form host=a,b port=5432,5432")
	}
	cfg, err := pq.NewConfig(c.DSN)
	if err != nil {
		return nil, errors.New("postgres: the connection string is malformed") // the driver's text may quote a password
	}
	if _, given := cfg.Runtime["statement_timeout"]; given { // connections would give up before it
		return nil, errors.New("postgres: statement_timeout is given beside the connection string, not in it")
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 16
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = 5 * time.Second
	}
	if cfg.ApplicationName == "" {
		cfg.ApplicationName = "gatehouse"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	if cfg.TargetSessionAttrs == "" { // who asked a standby would see sessions as they were
		cfg.TargetSessionAttrs = pq.TargetSessionAttrsPrimary
	}
	unbounded := cfg
	cfg.Runtime = maps.Clone(cfg.Runtime)
	if cfg.Runtime == nil {
		cfg.Runtime = map[string]string{}
	}
	milliseconds := fmt.Sprint(c.StatementTimeout.Milliseconds())
	for _, name := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		if _, given := cfg.Runtime[name]; !given {
			cfg.Runtime[name] = milliseconds
		}
	}
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, errors.New("postgres: the connection string is malformed")
	}
	connector.Dialer(dialer{patience: c.StatementTimeout + time.Second})
	db := sqlx.NewDb(sql.OpenDB(reaching{connector}), "postgres")
	db.SetMaxOpenConns(c.MaxConnections)
	db.SetMaxIdleConns(c.MaxConnections)
	db.SetConnMaxLifetime(connectionLifetime)
	return &Store{Store: sqlrepo.New(sqlrepo.Config{
		Dialect: migrations.Postgres, Write: db, Read: db, Classify: classify, StalePlan: stalePlan, Connections: c.MaxConnections,
	}), unbounded: unbounded}, nil
}

// Migrate brings the schema to the latest version, without a bound on its
// statements.
func (s *Store) Migrate(ctx context.Context) error { return s.migrate(ctx, migrations.Up) }

// MigrateDown takes the latest migration back.
func (s *Store) MigrateDown(ctx context.Context) error { return s.migrate(ctx, migrations.Down) }

func (s *Store) migrate(ctx context.Context, step func(context.Context, *sql.DB, migrations.Dialect) error) error {
	connector, err := pq.NewConnectorConfig(s.unbounded)
	if err != nil {
		return errors.New("postgres: the connection string is malformed")
	}
	db := sql.OpenDB(connector)
	defer db.Close() //nolint:errcheck // what was done is committed
	if err := step(ctx, db, migrations.Postgres); err != nil {
		return fmt.Errorf("migrating: %w", classify(err))
	}
	return nil
}

// stalePlan: "cached plan must not change result type", after a migration.
func stalePlan(err error) bool {
	failed, ok := errors.AsType[*pq.Error](err)
	return ok && failed.Code == "0A000" && failed.Routine == "RevalidateCachedQuery"
}

// classify says what an error of the driver means, by its SQLSTATE.
func classify(err error) error {
	failed, ok := errors.AsType[*pq.Error](err)
	if !ok {
		if unreachable(err) {
			return fmt.Errorf("%w: %w", repo.ErrUnavailable, err)
		}
		return err
	}
	switch {
	case failed.Code == "23505": // unique_violation
		return fmt.Errorf("%w: %s", repo.ErrConflict, failed.Constraint)
	case failed.Code == "22021": // character_not_in_repertoire: NUL, or no UTF-8
		return fmt.Errorf("%w: %w", repo.ErrText, err)
	case failed.Code == "40001", failed.Code == "40P01", // serialization_failure, deadlock_detected
		failed.Code == "25006", // read_only_sql_transaction: a standby, in a fail-over
		failed.Code == "55P03", // lock_not_available
		failed.Code == "57014": // query_canceled: the statement timeout
		return fmt.Errorf("%w: %w", repo.ErrUnavailable, err)
	}
	switch failed.Code.Class() {
	case "08", "53", "57", "58": // connection, resources, operator, system
		return fmt.Errorf("%w: %w", repo.ErrUnavailable, err)
	}
	return err
}

// unreachable reports whether an error is of the connection.
func unreachable(err error) bool {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network
}
