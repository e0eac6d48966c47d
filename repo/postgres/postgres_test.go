package postgres_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/repo/repotest"
)

// server returns the connection string of the tests' PostgreSQL.
func server(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("GATEHOUSE_TEST_POSTGRES")
	if dsn == "" {
		t.Fatal("GATEHOUSE_TEST_POSTGRES names no server; `make test-postgres` starts one")
	}
	return dsn
}

// database makes an empty database for a test, and drops it in the end.
func database(t testing.TB) string {
	t.Helper()
	dsn := server(t)
	admin, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		if err := admin.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func open(t testing.TB, c postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func migrated(t testing.TB) *postgres.Store {
	t.Helper()
	s := open(t, postgres.Config{DSN: database(t)})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// execute runs statements.
func execute(t *testing.T, s *postgres.Store, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := s.Write.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
}

// aUser stores a user who is named as its id.
func aUser(t *testing.T, s *postgres.Store, id string) {
	t.Helper()
	at := time.Now()
	if err := s.CreateUser(t.Context(), repo.User{ID: id, Username: id, IsActive: true, DateJoined: at, UpdatedAt: at}); err != nil {
		t.Fatal(err)
	}
}

// newSession is a session of a user, of an hour from at.
func newSession(id, userID string, at time.Time) repo.Session {
	end := at.Add(time.Hour)
	return repo.Session{ID: id, UserID: userID, Generation: 1, CreatedAt: at, RotatedAt: at, IdleExpiresAt: end, ExpiresAt: end}
}

// aSession stores one of user 1.
func aSession(t *testing.T, s *postgres.Store, id string, at time.Time) {
	t.Helper()
	if err := s.StartSession(t.Context(), newSession(id, "1", at), repo.Proof{}, repo.AuditEvent{ID: id, At: at}); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	repotest.Run(t, func(t *testing.T) repo.Repository { return migrated(t) })
}

func TestMigrations(t *testing.T) {
	t.Parallel()
	repotest.Migrations(t, open(t, postgres.Config{DSN: database(t)}))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"postgres://u@a:1,b:2/db", "postgres://u:hunter2@%zz/db", "host=a port=hunter2 sslmode=disable"} {
		if _, err := postgres.Open(postgres.Config{DSN: dsn}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
	for name, c := range map[string]postgres.Config{
		"no server": {}, "fewer than no connections": {DSN: "host=a", MaxConnections: -1},
		"a timeout that has passed":                   {DSN: "host=a", StatementTimeout: -time.Second},
		"a timeout that Postgres would take for none": {DSN: "host=a", StatementTimeout: time.Microsecond},
		"a timeout that connections do not know of":   {DSN: "host=a statement_timeout=20000"},
	} {
		if _, err := postgres.Open(c); err == nil {
			t.Errorf("%s is opened", name)
		}
	}
}

// TestSettings asks the server for the bounds that each connection sets.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := open(t, postgres.Config{DSN: database(t), StatementTimeout: 1500 * time.Millisecond})
	for name, want := range map[string]string{
		"statement_timeout": "1500ms", "lock_timeout": "1500ms", "idle_in_transaction_session_timeout": "1500ms", "application_name": "gatehouse",
	} {
		var got string
		if err := s.Write.Get(&got, "SHOW "+name); err != nil || got != want {
			t.Errorf("%s is %q, want %q, %v", name, got, want, err)
		}
	}
}

// TestRotationIsUpdatedInPlace demands that a refresh touches no index, and finds
// room on its page (HOT).
func TestRotationIsUpdatedInPlace(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	aUser(t, s, "1")
	aSession(t, s, "s", at)
	const rotations = 20
	for g := range int64(rotations) {
		if _, err := s.RotateSession(t.Context(), "s", g+1, at, at.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	counts := statistics(t, s, func(c tableCounts) bool { return c.Updates >= rotations })
	if counts.InPlace != counts.Updates {
		t.Errorf("%d of %d updates were in place", counts.InPlace, counts.Updates)
	}
}

// tableCounts is what Postgres counts of the sessions.
type tableCounts struct {
	Updates int `db:"n_tup_upd"`
	InPlace int `db:"n_tup_hot_upd"`
	Scans   int `db:"seq_scan"`     // of the whole table
	Revoked int `db:"idx_tup_read"` // rows found in the index of those that were revoked
}

// statistics asks for them until they are as they must become: another connection
// sees what one has done once it is flushed.
func statistics(t *testing.T, s *postgres.Store, enough func(tableCounts) bool) (counts tableCounts) {
	t.Helper()
	conn, err := s.Write.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test ends
	for !enough(counts) {
		if _, err := conn.ExecContext(t.Context(), "SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()"); err != nil {
			t.Fatal(err)
		}
		if err := conn.GetContext(t.Context(), &counts, `SELECT n_tup_upd, n_tup_hot_upd, t.seq_scan, i.idx_tup_read FROM pg_stat_user_tables t
			JOIN pg_stat_user_indexes i ON i.relid = t.relid AND i.indexrelname = 'sessions_revoked_at' WHERE t.relname = 'sessions'`); err != nil {
			t.Fatal(err)
		}
	}
	return counts
}

// TestRevocationsAreFoundByTheirIndex demands that what was revoked lately is found
// without a look at the sessions that were not.
func TestRevocationsAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	at := time.Now()
	aUser(t, s, "1")
	const lately = 30
	if _, err := s.Write.ExecContext(t.Context(), `INSERT INTO sessions SELECT 's' || i, '1', 1, $1, $1, $1, $1, 0, NULL, '', '', '', '', '',
		CASE WHEN i <= 30 THEN $1::timestamptz WHEN i <= 2000 THEN $1::timestamptz - interval '1 hour' END, '' FROM generate_series(1, 20000) AS i`, at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write.ExecContext(t.Context(), "ANALYZE sessions"); err != nil {
		t.Fatal(err)
	}
	before := statistics(t, s, func(c tableCounts) bool { return c.Scans > 0 }) // ANALYZE and the insertion are counted
	for range 10 {                                                              // more often than a plan for this very time is tried
		ids, err := s.RevokedSessions(t.Context(), at.Add(-time.Minute))
		if err != nil || len(ids) != lately {
			t.Fatalf("%d sessions, %v", len(ids), err)
		}
	}
	after := statistics(t, s, func(c tableCounts) bool { return c.Revoked >= before.Revoked+10*lately })
	if after.Revoked != before.Revoked+10*lately || after.Scans != before.Scans {
		t.Errorf("%d entries were read for %d sessions, ten times, with %d scans of the table", after.Revoked-before.Revoked, lately, after.Scans-before.Scans)
	}
}

// TestTextIsIndexedByBytes demands that no index on text depends on the language
// of the database, or on the version of the library that sorts it.
func TestTextIsIndexedByBytes(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	var indexed []struct {
		Name      string `db:"name"`
		Collation string `db:"collation"`
	}
	if err := s.Read.Select(&indexed, `SELECT DISTINCT i.indrelid::regclass || '.' || a.attname AS name, c.collname AS collation
		FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid AND t.relnamespace = 'public'::regnamespace
		JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		JOIN pg_collation c ON c.oid = a.attcollation`); err != nil {
		t.Fatal(err)
	}
	if len(indexed) < 10 {
		t.Errorf("only %d texts are indexed", len(indexed))
	}
	for _, column := range indexed {
		if column.Collation != "C" {
			t.Errorf("%s is sorted by %s", column.Name, column.Collation)
		}
	}
}

// TestStalePlan changes a column's type under a statement that is prepared.
func TestStalePlan(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	find := func() error {
		_, err := s.FindUser(t.Context(), "1")
		return err
	}
	s.Write.SetMaxOpenConns(1)
	if err := find(); !errors.Is(err, repo.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := s.Write.Exec("ALTER TABLE users ALTER COLUMN email TYPE varchar(300)"); err != nil {
		t.Fatal(err)
	}
	if err := find(); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("after the change: %v", err)
	}
}

func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	s := open(t, postgres.Config{DSN: dsn, StatementTimeout: 100 * time.Millisecond})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	blocker, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Close() //nolint:errcheck // the test ends
	tx, err := blocker.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it is what the test wants
	if _, err := tx.Exec("LOCK TABLE users IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindUser(t.Context(), "1"); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("a statement that waits too long: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, postgres.Config{DSN: "host=127.0.0.1 port=" + port + " user=u dbname=d sslmode=disable"})
	if err := s.Ping(t.Context()); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
	if err := s.Migrate(t.Context()); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("migrating where nobody listens: %v", err)
	}
}

// TestConnectionsThatAreCut ends every connection in mid-work: the next call finds
// a new one.
func TestConnectionsThatAreCut(t *testing.T) {
	t.Parallel()
	s := migrated(t)
	admin, err := sql.Open("postgres", server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close() //nolint:errcheck // the test ends
	var name string
	if err := s.Write.Get(&name, "SELECT current_database()"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.FindUser(t.Context(), "1"); !errors.Is(err, repo.ErrNotFound) {
			t.Fatalf("before: %v", err)
		}
		if _, err := admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name); err != nil {
			t.Fatal(err)
		}
		_, err := s.FindUser(t.Context(), "1")
		if !errors.Is(err, repo.ErrNotFound) && !errors.Is(err, repo.ErrUnavailable) {
			t.Errorf("after the cut: %v", err)
		}
	}
}

// TestSeveralHosts gives a dead server first.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(database(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	s := open(t, postgres.Config{DSN: fmt.Sprintf("host=127.0.0.1,%s port=1,%s user=%s password='%s' dbname=%s sslmode=disable target_session_attrs=read-write",
		u.Hostname(), u.Port(), u.User.Username(), password, strings.TrimPrefix(u.Path, "/"))})
	if err := s.Migrate(t.Context()); err != nil {
		t.Errorf("past the dead server: %v", err)
	}
}

func BenchmarkRotateSession(b *testing.B) { repotest.BenchmarkRotate(b, migrated(b)) }
