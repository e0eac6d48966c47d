package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/repotest"
	"github.com/gatehouse-auth/gatehouse/repo/sqlite"
)

// open opens a new database.
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func migrated(t testing.TB) *sqlite.Store {
	t.Helper()
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	repotest.Run(t, func(t *testing.T) repo.Repository { return migrated(t) })
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	repotest.Migrations(t, open(t, path))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
}

// TestMigrationsAtOnce lets several processes come to one new file at once, as a
// server and a command line do.
func TestMigrationsAtOnce(t *testing.T) {
	t.Parallel()
	for range 3 {
		path := filepath.Join(t.TempDir(), "test.db")
		var wait sync.WaitGroup
		for range 4 {
			s := open(t, path)
			wait.Go(func() {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if err := open(t, path).Ping(t.Context()); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "a?mode=memory", "/nonexistent/test.db", ":memory:", "file:test.db", "file::memory:"} {
		if _, err := sqlite.Open(path); err == nil {
			t.Errorf("%q is opened", path)
		}
	}
}

// TestSettings asks SQLite for what the durability rests on.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.Write.Get(&got, "PRAGMA "+pragma); err != nil || got != want {
			t.Errorf("%s is %q, want %q, %v", pragma, got, want, err)
		}
	}
	if _, err := s.Read.Exec("DELETE FROM users"); err == nil {
		t.Error("a reader can write")
	}
}

// TestReopened finds what was acknowledged, by another process.
func TestReopened(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	first := open(t, path)
	if err := first.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	if err := first.CreateUser(t.Context(), repo.User{ID: "1", Username: "alice", DateJoined: at, UpdatedAt: at}); err != nil {
		t.Fatal(err)
	}
	var kind string
	if err := first.Read.Get(&kind, "SELECT typeof(date_joined) FROM users"); err != nil || kind != "integer" {
		t.Errorf("a time is kept as %s, which compares wrongly across zones, %v", kind, err)
	}
	if u, err := open(t, path).FindUserByUsername(t.Context(), "alice"); err != nil || !u.DateJoined.Equal(at) {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, []byte("this is no database, though it is long enough to be read as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if err := s.Ping(t.Context()); err == nil {
		t.Error("what is no database answers")
	}
	if err := open(t, filepath.Join(t.TempDir(), "empty.db")).Ping(t.Context()); err == nil || errors.Is(err, migrations.ErrVersion) {
		t.Errorf("an empty database: %v", err)
	}
}

// TestFullAndBusy fills the disk, as far as SQLite can be told so, and holds the
// file for longer than one waits.
func TestFullAndBusy(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s := open(t, path)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	create := func(id string, size int) error {
		return s.CreateUser(t.Context(), repo.User{ID: id, Username: id, FirstName: strings.Repeat("x", size), DateJoined: time.Now(), UpdatedAt: time.Now()})
	}
	if _, err := s.Write.Exec("PRAGMA max_page_count = 1"); err != nil { // no less than there are
		t.Fatal(err)
	}
	if err := create("full", 1<<20); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := s.Write.Exec("PRAGMA max_page_count = 100000; PRAGMA busy_timeout = 1"); err != nil {
		t.Fatal(err)
	}
	tx, err := open(t, path).Write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := create("busy", 1); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("a file that another process holds: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := create("busy", 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func BenchmarkRotateSession(b *testing.B) { repotest.BenchmarkRotate(b, migrated(b)) }
