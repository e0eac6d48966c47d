// Package sqlite is the repository in an embedded SQLite database: one file, one
// process. What was acknowledged survives a power cut.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"strings"

	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/internal/sqlrepo"
	"github.com/jmoiron/sqlx"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// Store is the repository. It fulfils repo.Repository.
type Store struct{ *sqlrepo.Store }

// Open opens the database of a file, and makes the file where there is none,
// readable by its owner alone. The schema is brought up to date by Migrate.
func Open(path string) (*Store, error) {
	if path == "" || strings.ContainsAny(path, "?#") {
		return nil, errors.New("sqlite: the path of the database must be given, and hold neither ? nor #")
	}
	// SQLite would take these for something else than the file that is made here.
	if path == ":memory:" || strings.HasPrefix(path, "file:") {
		return nil, errors.New("sqlite: the database is a file; write ./ before a name that is :memory: or begins with file:")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite: opening the database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("sqlite: opening the database: %w", err)
	}
	// One writer, which never finds the file locked by another of ours; readers beside it.
	write, err := open(path, url.Values{"_txlock": {"immediate"}}, 1)
	if err != nil {
		return nil, err
	}
	read, err := open(path, url.Values{"_query_only": {"1"}}, max(4, runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return &Store{sqlrepo.New(sqlrepo.Config{
		Dialect: migrations.SQLite, Write: write, Read: read, Classify: classify,
		StalePlan: func(error) bool { return false }, // SQLite prepares anew by itself
	})}, nil
}

func open(path string, options url.Values, connections int) (*sqlx.DB, error) {
	for name, value := range map[string]string{
		"_busy_timeout": "5000", "_journal_mode": "WAL", "_synchronous": "FULL", "_foreign_keys": "1",
		// Times as whole numbers: as text they compare wrongly across zones.
		"_time_integer_format": "unix_micro", "_inttotime": "1",
		// KiB of pages that each connection keeps; by default 2,000, which the first sweep fills. The inner pages of
		// indexes fit, and that more makes no refresh cheaper was measured.
		"_pragma": "cache_size(-256)",
	} {
		options.Set(name, value)
	}
	db, err := sqlx.Open("sqlite", path+"?"+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// classify says what an error of the driver means, by its code.
func classify(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", repo.ErrUnavailable, err)
	}
	failed, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return err
	}
	switch failed.Code() {
	case codes.SQLITE_CONSTRAINT_UNIQUE, codes.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fmt.Errorf("%w: %w", repo.ErrConflict, err)
	}
	switch failed.Code() & 0xff { // the primary code
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_IOERR, codes.SQLITE_FULL, codes.SQLITE_CANTOPEN,
		codes.SQLITE_INTERRUPT, codes.SQLITE_READONLY, codes.SQLITE_PROTOCOL:
		return fmt.Errorf("%w: %w", repo.ErrUnavailable, err)
	}
	return err
}
