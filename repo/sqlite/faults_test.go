package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/repotest"
)

// TestMigrationThatFails reports a fault that is no other process's doing.
func TestMigrationThatFails(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "test.db"))
	if _, err := s.Write.Exec("CREATE TABLE sessions (mine text)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err == nil {
		t.Error("a table in the way is no fault")
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("half a schema says that it is ready")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err == nil {
		t.Error("a closed store migrates")
	}
}

// TestFileHeldByAnotherProcess has somebody else keep the file's only write lock:
// readers go on, writers give up with the context.
func TestFileHeldByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	s, other := open(t, path), open(t, path)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	tx, err := other.Write.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it is what the test wants
	if _, err := s.FindUser(t.Context(), "1"); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("reading: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.CreateUser(ctx, repo.User{ID: "1"}); !errors.Is(err, repo.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("writing: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateUser(t.Context(), repo.User{ID: "1"}); err != nil {
		t.Errorf("writing afterwards: %v", err)
	}
}

// TestConstraintOfOurs stores what no caller should: a fault, and none that a
// caller may take for an answer.
func TestConstraintOfOurs(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	_, err := s.Write.Exec("INSERT INTO sessions (id) VALUES ('s')")
	if err == nil {
		t.Fatal("a session without a user")
	}
	if _, err := s.Write.Exec("CREATE TRIGGER fail BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no'); END"); err != nil {
		t.Fatal(err)
	}
	err = s.CreateUser(t.Context(), repo.User{ID: "1"})
	for _, sentinel := range []error{repo.ErrConflict, repo.ErrUnavailable, repo.ErrNotFound, repo.ErrStale, repo.ErrText} {
		if err == nil || errors.Is(err, sentinel) {
			t.Errorf("a trigger's fault: %v", err)
		}
	}
}

func TestDisabledByHand(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	repotest.DisabledByHand(t, s, func(userID string) error {
		_, err := s.Write.Exec("UPDATE users SET is_active = false WHERE id = $1", userID)
		return err
	})
}
