package repotest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/repo"
)

// Migrator is a store whose schema can be changed.
type Migrator interface {
	repo.Repository
	Migrate(ctx context.Context) error
	MigrateDown(ctx context.Context) error
	MigrationStatus(ctx context.Context) (migrations.Status, error)
}

// Migrations walks an empty database up, all the way down, and up again, also
// with several at once.
func Migrations(t *testing.T, s Migrator) {
	t.Helper()
	if err := s.Ping(t.Context()); err == nil {
		t.Error("an empty database says that it is ready")
	}
	must(t, s.Migrate(t.Context()))
	must(t, s.Ping(t.Context()))
	status, err := s.MigrationStatus(t.Context())
	must(t, err)
	if status.Current != status.Latest || status.Latest == 0 {
		t.Errorf("up: %+v", status)
	}
	for before := status.Latest + 1; status.Current != 0; { // the numbers may have gaps
		if status.Current >= before {
			t.Fatalf("down: %+v", status)
		}
		before = status.Current
		must(t, s.MigrateDown(t.Context()))
		status, err = s.MigrationStatus(t.Context())
		must(t, err)
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("a database without its tables says that it is ready")
	}
	for _, err := range together(4, func(int) error { return s.Migrate(background()) }) {
		must(t, err)
	}
	must(t, s.Migrate(t.Context()))
	aUser(t, s)
}

// BenchmarkRotate measures the hot path: sixteen at once, each on a session of its
// own.
func BenchmarkRotate(b *testing.B, r repo.Repository) {
	b.Helper()
	ctx := b.Context()
	u := repo.User{ID: newID(), Username: "u", IsActive: true, DateJoined: at, UpdatedAt: at}
	if err := r.CreateUser(ctx, u); err != nil {
		b.Fatal(err)
	}
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := newSession(u.ID)
		if err := r.StartSession(ctx, s, repo.Proof{}, event("sign_in", u.ID)); err != nil {
			b.Error(err)
			return
		}
		for generation := int64(1); pb.Next(); generation++ {
			if _, err := r.RotateSession(ctx, s.ID, generation, at, at.Add(time.Hour)); err != nil {
				b.Error(fmt.Errorf("generation %d: %w", generation, err))
				return
			}
		}
	})
}

// DisabledByHand demands that a refresh asks whether the user is active, and does
// not rest on the session having been ended: disable takes the activity from the
// user with this id behind the store's back.
func DisabledByHand(t *testing.T, r repo.Repository, disable func(userID string) error) {
	t.Helper()
	u := aUser(t, r)
	s := aSession(t, r, u.ID)
	must(t, disable(u.ID))
	if _, err := r.RotateSession(t.Context(), s.ID, 1, at, at.Add(time.Hour)); !errors.Is(err, repo.ErrStale) {
		t.Errorf("a refresh of somebody who is not active: %v", err)
	}
	if got := find(t, r, s.ID); got.Session.Generation != 1 || got.User.IsActive {
		t.Errorf("%+v", got)
	}
}
