package e2e_test

import (
	"context"
	"database/sql"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/session"
)

// deadSessions is how many sessions are over when the sweep begins.
const deadSessions = 1_000_000

// TestSweepAMillion sweeps a million dead sessions from three places at once, the
// server one of them, while clients refresh: all that is dead goes, nothing that
// lives, and nobody is kept waiting beyond the timeouts.
func TestSweepAMillion(t *testing.T) {
	dsn := newDatabase(t)
	s := start(t, map[string]string{"GATEHOUSE_DATABASE_URL": dsn}, "--migrate")
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test ends
	if _, err := db.Exec(`INSERT INTO sessions (id, user_id, generation, created_at, rotated_at, idle_expires_at, expires_at, late_retries,
			method, issuer, subject, user_agent, ip, revoke_reason)
		SELECT '0000' || n, (SELECT id FROM users), 1, t, t, t, t, 0, 'password', '', '', 'Test/1', '203.0.113.7', ''
		FROM generate_series(1, $1) AS n, (SELECT $2::timestamptz AS t) AS ended`, deadSessions, time.Now().Add(-72*time.Hour)); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(postgres.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the test ends

	var over atomic.Bool
	var refreshes atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		a := s.signIn(t, "alice", "correct horse battery")
		clients.Go(func() {
			for !over.Load() && a.status == http.StatusOK {
				if a = s.refresh(t, a); a.status != http.StatusOK {
					t.Errorf("a refresh beside the sweep: %d %s", a.status, a.body)
				}
				refreshes.Add(1)
			}
		})
	}
	began := time.Now()
	var sweepers sync.WaitGroup
	for range 2 {
		sweepers.Go(func() {
			sweeper, err := session.NewSweeper(session.SweeperConfig{Store: store, Throttle: time.Hour, Batch: 5000, Pause: time.Millisecond})
			if err == nil {
				err = sweeper.Round(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	sweepers.Wait()
	over.Store(true)
	clients.Wait()
	var dead, alive int
	if err := db.QueryRow("SELECT count(*) FILTER (WHERE id LIKE '0000%'), count(*) FILTER (WHERE id NOT LIKE '0000%') FROM sessions").Scan(&dead, &alive); err != nil {
		t.Fatal(err)
	}
	// Rows that another sweeper held were passed over; the next round takes them.
	if dead > deadSessions/100 || alive != 4 {
		t.Errorf("%d dead sessions are left, and %d of 4 that live", dead, alive)
	}
	t.Logf("%d sessions swept in %v beside %d refreshes", deadSessions-dead, time.Since(began).Round(time.Millisecond), refreshes.Load())
}
