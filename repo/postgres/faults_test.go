package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/repo/repotest"
)

// TestErrorsByState lets the server fail with each SQLSTATE in turn.
func TestErrorsByState(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	execute(t, s,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = NEW.email; END $$`,
		`CREATE TRIGGER fail BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fail()`)
	sentinels := []error{repo.ErrConflict, repo.ErrUnavailable, repo.ErrNotFound, repo.ErrStale, repo.ErrText}
	for state, want := range map[string]error{
		"23505": repo.ErrConflict,    // unique_violation
		"40001": repo.ErrUnavailable, // serialization_failure
		"40P01": repo.ErrUnavailable, // deadlock_detected
		"25006": repo.ErrUnavailable, // read_only_sql_transaction
		"55P03": repo.ErrUnavailable, // lock_not_available
		"57014": repo.ErrUnavailable, // query_canceled
		"57P01": repo.ErrUnavailable, // admin_shutdown
		"53300": repo.ErrUnavailable, // too_many_connections
		"53100": repo.ErrUnavailable, // disk_full
		"08006": repo.ErrUnavailable, // connection_failure
		"58030": repo.ErrUnavailable, // io_error
		"23503": nil,                 // foreign_key_violation: a fault of ours
		"23514": nil,                 // check_violation
		"42P01": nil,                 // undefined_table
		"22P02": nil,                 // invalid_text_representation
	} {
		err := s.CreateUser(t.Context(), repo.User{ID: state, Username: state, Email: state})
		if err == nil {
			t.Fatalf("%s: nothing fails", state)
		}
		for _, sentinel := range sentinels {
			if got := errors.Is(err, sentinel); got != (sentinel == want) {
				t.Errorf("%s is %v, want %v", state, err, want)
			}
		}
	}
}

// TestFailedCommit lets the commit itself fail, behind statements that went well:
// nothing is acknowledged.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	aUser(t, s, "1")
	aSession(t, s, "s", at)
	execute(t, s,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$`,
		`CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON sessions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`)
	if _, err := s.RotateSession(t.Context(), "s", 1, at, at.Add(time.Hour)); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("rotating: %v", err)
	}
	if _, err := s.RevokeSession(t.Context(), "s", "logoff", repo.AuditEvent{ID: "f", At: at}); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("revoking: %v", err)
	}
	if got, err := s.FindSession(t.Context(), "s"); err != nil || got.Session.Generation != 1 || !got.Session.RevokedAt.IsZero() {
		t.Errorf("%+v, %v", got.Session, err)
	}
}

// hold lets another transaction lock rows until it is told to release them.
func hold(t *testing.T, s *postgres.Store, text string) (release func()) {
	t.Helper()
	other, err := s.Write.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Rollback() })
	if _, err := other.Exec(text); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := other.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRotateBesideFaults rotates many sessions at once, of which one is held by
// another transaction, and one can't be changed: nobody else waits or fails.
func TestRotateBesideFaults(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	aUser(t, s, "1")
	ids := []string{"held", "broken"}
	for i := range 40 {
		ids = append(ids, fmt.Sprint(i))
	}
	for _, id := range ids {
		aSession(t, s, id, at)
	}
	execute(t, s,
		`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$`,
		`CREATE TRIGGER fail BEFORE UPDATE ON sessions FOR EACH ROW WHEN (NEW.id = 'broken') EXECUTE FUNCTION fail()`)
	release := hold(t, s, "SELECT FROM sessions WHERE id = 'held' FOR UPDATE")
	type outcome struct {
		id  string
		err error
	}
	rotated := make(chan outcome)
	for _, id := range ids {
		go func() {
			_, err := s.RotateSession(context.Background(), id, 1, at, at.Add(time.Hour))
			rotated <- outcome{id, err}
		}()
	}
	for range len(ids) - 1 {
		switch got := <-rotated; {
		case got.id == "held":
			t.Fatalf("rotated while another one holds it: %v", got.err)
		case got.id == "broken":
			if got.err == nil || errors.Is(got.err, repo.ErrUnavailable) || errors.Is(got.err, repo.ErrStale) {
				t.Errorf("what can't be changed: %v", got.err)
			}
		case got.err != nil:
			t.Errorf("%s: %v", got.id, got.err)
		}
	}
	release()
	if got := <-rotated; got.err != nil {
		t.Errorf("what was held: %v", got.err)
	}
}

// TestRotatePartitioned rotates sessions of a partitioned table, where rows of several
// parts have the same place: none moves but those that were asked for.
func TestRotatePartitioned(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	aUser(t, s, "1")
	execute(t, s,
		"ALTER TABLE sessions RENAME TO unparted", "CREATE TABLE sessions (LIKE unparted INCLUDING DEFAULTS) PARTITION BY HASH (id)",
		"CREATE TABLE sessions_0 PARTITION OF sessions FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
		"CREATE TABLE sessions_1 PARTITION OF sessions FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
	const n = 60
	for i := range n {
		aSession(t, s, fmt.Sprint(i), at)
	}
	var all sync.WaitGroup
	for i := 0; i < n; i += 2 {
		all.Go(func() {
			if _, err := s.RotateSession(t.Context(), fmt.Sprint(i), 1, at, at.Add(time.Hour)); err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	for i := range n {
		want := int64(2 - i%2)
		if got, err := s.FindSession(t.Context(), fmt.Sprint(i)); err != nil || got.Session.Generation != want {
			t.Errorf("%d has generation %d, want %d: %v", i, got.Session.Generation, want, err)
		}
	}
}

// TestExchangeBesideFaults starts many sessions at once, of which one user is
// held by another transaction: nobody else waits.
func TestExchangeBesideFaults(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	for i := range 40 {
		u := repo.User{ID: fmt.Sprint(i), Username: fmt.Sprint(i), IsActive: true, DateJoined: at, UpdatedAt: at}
		if _, _, err := s.CreateUserWithIdentity(t.Context(), u, repo.Identity{Subject: u.ID, UserID: u.ID, CreatedAt: at, LastSeenAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	release := hold(t, s, "SELECT FROM users WHERE id = '0' FOR UPDATE")
	start := func(id string) error {
		begun := newSession(id, "", at)
		begun.Subject = id
		x := repo.Exchange{Digest: []byte(id), SessionID: id, ExpiresAt: at}
		_, err := s.StartKnownSession(context.Background(), begun, x, repo.AuditEvent{ID: id, At: at})
		return err
	}
	held, started := make(chan error), make(chan error)
	for i := range 40 {
		go func() {
			if i == 0 {
				held <- start("0")
				return
			}
			started <- start(fmt.Sprint(i))
		}()
	}
	for range 39 {
		if err := <-started; err != nil {
			t.Error(err)
		}
	}
	release()
	if err := <-held; err != nil {
		t.Errorf("who was held: %v", err)
	}
}

// TestTogether lets many wait for a table: those who were not first share
// transactions, which the rows name. A statement for many that failed would not be
// seen otherwise, for each is then tried alone.
func TestTogether(t *testing.T) {
	t.Parallel()
	const n = 40
	at := time.Now().Truncate(time.Microsecond)
	dsn := database(t)
	s := open(t, postgres.Config{DSN: dsn, MaxConnections: 3}) // the lock's, the first one's, and one for the others
	watcher := open(t, postgres.Config{DSN: dsn})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		u := repo.User{ID: fmt.Sprint(i), Username: fmt.Sprint(i), IsActive: true, DateJoined: at, UpdatedAt: at}
		if _, _, err := s.CreateUserWithIdentity(t.Context(), u, repo.Identity{Subject: u.ID, UserID: u.ID, CreatedAt: at, LastSeenAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	later := at.Add(time.Minute)
	do := func(what func(id string) error) {
		t.Helper()
		release := hold(t, s, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				if err := what(fmt.Sprint(i)); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		for waiting := 0; waiting < 2 && !t.Failed(); {
			if err := watcher.Write.Get(&waiting, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"); err != nil {
				t.Fatal(err)
			}
		}
		release()
		all.Wait()
		var transactions int
		if err := s.Write.Get(&transactions, "SELECT count(DISTINCT xmin::text) FROM sessions"); err != nil || transactions > n/2 {
			t.Errorf("%d in %d transactions, %v", n, transactions, err)
		}
	}
	do(func(id string) error {
		begun := newSession(id, "", later)
		begun.Subject, begun.ExpiresAt = id, later.Add(2*time.Hour)
		x := repo.Exchange{Digest: []byte(id), SessionID: id, ExpiresAt: later}
		_, err := s.StartKnownSession(context.Background(), begun, x, repo.AuditEvent{ID: id, At: later, SessionID: id})
		return err
	})
	var right int
	if err := s.Write.Get(&right, `SELECT count(*) FROM sessions s JOIN identities i ON i.subject = s.subject AND i.user_id = s.user_id
		JOIN exchanges x ON x.session_id = s.id WHERE i.last_seen_at = $1 AND x.expires_at = $1
			AND s.idle_expires_at = $1 + interval '1 hour' AND s.expires_at = $1 + interval '2 hours'`, later); err != nil || right != n {
		t.Errorf("%d of %d are stored as they were begun, %v", right, n, err)
	}
	do(func(id string) error {
		_, err := s.RotateSession(context.Background(), id, 1, later, later.Add(time.Hour))
		return err
	})
}

// TestServerThatSaysNothing connects to somebody who listens and never answers.
func TestServerThatSaysNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, postgres.Config{DSN: "host=127.0.0.1 port=" + port + " user=u dbname=d sslmode=disable", StatementTimeout: 50 * time.Millisecond})
	if err := s.Ping(t.Context()); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("without a deadline: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.FindUser(ctx, "1"); !errors.Is(err, repo.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with one: %v", err)
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

// TestSweepersPassOver holds one of two dead rows of each kind in another
// transaction: a sweep takes the other one, and does not wait.
func TestSweepersPassOver(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	aUser(t, s, "1")
	for _, id := range []string{"a", "b"} {
		begun := repo.Session{ID: id, UserID: "1", Generation: 1, CreatedAt: at, RotatedAt: at, IdleExpiresAt: at, ExpiresAt: at}
		x := &repo.Exchange{Digest: []byte(id), SessionID: id, ExpiresAt: at}
		if err := s.StartSession(t.Context(), begun, repo.Proof{Exchange: x}, repo.AuditEvent{ID: id, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.AddAttempts(t.Context(), []string{"a", "b"}, at, at); err != nil {
		t.Fatal(err)
	}
	other, err := s.Write.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Rollback() //nolint:errcheck // it is what the test wants
	for _, text := range []string{
		"SELECT FROM sessions WHERE id = 'a' FOR UPDATE", "SELECT FROM exchanges WHERE session_id = 'a' FOR UPDATE",
		"SELECT FROM throttle WHERE key = 'a' FOR UPDATE",
	} {
		if _, err := other.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	later := at.Add(time.Second)
	if swept, err := s.SweepSessions(t.Context(), later, "", 10); err != nil || swept.Removed != 1 {
		t.Errorf("sessions: %+v, %v", swept, err)
	}
	if n, err := s.SweepExchanges(t.Context(), later, 10); err != nil || n != 1 {
		t.Errorf("exchanges: %d, %v", n, err)
	}
	if n, err := s.SweepThrottle(t.Context(), later, 10); err != nil || n != 1 {
		t.Errorf("throttle: %d, %v", n, err)
	}
}
