// Package migrations is the schema of the database, one folder for each engine,
// with one number for what is one change.
//
// A migration takes two steps. The program of a release must run on the schema
// before and after its migration, since replicas are replaced one by one: first
// a release that adds and does not need; then one that uses; and one that
// removes what the former no longer reads. New columns are nullable or have a
// default, and no query says *.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed postgres/*.sql sqlite/*.sql
var files embed.FS

// Dialect is an engine.
type Dialect string

// The engines.
const (
	Postgres Dialect = "postgres"
	SQLite   Dialect = "sqlite"
)

// ErrVersion says that the schema is older than this program.
var ErrVersion = errors.New("migrations: the schema is too old")

// Status is where a schema stands.
type Status struct {
	Current int64 `json:"current"` // 0: an empty database
	Latest  int64 `json:"latest"`  // what this program was built for
}

// Up brings the schema to the latest version. Several processes may do it at
// once: on Postgres they wait for each other, on SQLite whoever comes second to
// a migration goes on with the next.
func Up(ctx context.Context, db *sql.DB, d Dialect) error {
	p, err := provider(db, d)
	if err != nil {
		return err
	}
	for {
		before := reached(ctx, db)
		_, err := p.Up(ctx)
		if err == nil {
			return nil
		}
		// Where the schema has moved, another process may have made this very migration. Each try that is not the last
		// leaves the schema further on, so this ends.
		if reached(ctx, db) <= before {
			return fmt.Errorf("migrations: up: %w", err)
		}
	}
}

// reached is the version of the schema; -1 where it can't be read, as before the
// first migration.
func reached(ctx context.Context, db *sql.DB) int64 {
	current, err := version(ctx, db)
	if err != nil {
		return -1
	}
	return current
}

func version(ctx context.Context, db *sql.DB) (int64, error) {
	var current sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+goose.DefaultTablename).Scan(&current); err != nil {
		return 0, fmt.Errorf("migrations: reading the version: %w", err)
	}
	return current.Int64, nil
}

// Down takes the latest migration back, with the data that only it has.
func Down(ctx context.Context, db *sql.DB, d Dialect) error {
	p, err := provider(db, d)
	if err != nil {
		return err
	}
	if _, err := p.Down(ctx); err != nil {
		return fmt.Errorf("migrations: down: %w", err)
	}
	return nil
}

// StatusOf says where the schema stands. In an empty database it makes the table
// that keeps the version.
func StatusOf(ctx context.Context, db *sql.DB, d Dialect) (Status, error) {
	p, err := provider(db, d)
	if err != nil {
		return Status{}, err
	}
	current, latest, err := p.GetVersions(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("migrations: reading the version: %w", err)
	}
	return Status{Current: current, Latest: latest}, nil
}

// Check asks the database whether its schema is at least the one that this
// program was built for; a later one is good too, since migrations take two
// steps. ErrVersion where it is older. It changes nothing.
func Check(ctx context.Context, db *sql.DB, d Dialect) error {
	names, err := fs.Glob(files, string(d)+"/*.sql")
	if err != nil || len(names) == 0 {
		return fmt.Errorf("migrations: there are none for %q", d)
	}
	latest, err := goose.NumericComponent(names[len(names)-1]) // they are in the order of their numbers
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, err := version(ctx, db)
	if err != nil {
		return err
	}
	if current < latest {
		return fmt.Errorf("%w: it is at %d, and must be at %d", ErrVersion, current, latest)
	}
	return nil
}

func provider(db *sql.DB, d Dialect) (*goose.Provider, error) {
	dialect := goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if d == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // every second, for five minutes
		if err != nil {
			return nil, fmt.Errorf("migrations: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	dir, err := fs.Sub(files, string(d))
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, dir, options...)
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	return p, nil
}
