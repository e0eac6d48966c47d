package migrations_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/gatehouse-auth/gatehouse/migrations"
	_ "modernc.org/sqlite"
)

func open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// TestVersions asks an empty database, one that is older than the program, and
// one that is newer: migrations take two steps, so that a newer one is good.
func TestVersions(t *testing.T) {
	t.Parallel()
	db := open(t)
	if err := migrations.Check(t.Context(), db, migrations.SQLite); err == nil || errors.Is(err, migrations.ErrVersion) {
		t.Errorf("an empty database: %v", err)
	}
	status, err := migrations.StatusOf(t.Context(), db, migrations.SQLite)
	if err != nil || status.Current != 0 || status.Latest == 0 {
		t.Errorf("an empty database is at %+v, %v", status, err)
	}
	if err := migrations.Check(t.Context(), db, migrations.SQLite); !errors.Is(err, migrations.ErrVersion) {
		t.Errorf("an older database: %v", err)
	}
	if err := migrations.Up(t.Context(), db, migrations.SQLite); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(t.Context(), db, migrations.SQLite); err != nil {
		t.Errorf("a database that is up to date: %v", err)
	}
	if _, err := db.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(t.Context(), db, migrations.SQLite); err != nil {
		t.Errorf("a newer database: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	db := open(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := migrations.StatusOf(t.Context(), db, migrations.SQLite)
	for what, err := range map[string]error{
		"up": migrations.Up(t.Context(), db, migrations.SQLite), "down": migrations.Down(t.Context(), db, migrations.SQLite),
		"status": err, "check": migrations.Check(t.Context(), db, migrations.SQLite),
	} {
		if err == nil {
			t.Errorf("%s of a database that is closed", what)
		}
	}
}

func TestUnknownDialect(t *testing.T) {
	t.Parallel()
	db := open(t)
	_, err := migrations.StatusOf(t.Context(), db, "oracle")
	for what, err := range map[string]error{
		"up": migrations.Up(t.Context(), db, "oracle"), "down": migrations.Down(t.Context(), db, "oracle"),
		"status": err, "check": migrations.Check(t.Context(), db, "oracle"),
	} {
		if err == nil {
			t.Errorf("%s of a dialect that is not there", what)
		}
	}
}
