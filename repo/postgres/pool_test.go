package postgres_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
)

// TestWaitForConnection has the one connection taken by who waits for a row: all
// others give up when their contexts end.
func TestWaitForConnection(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	holder, s := open(t, postgres.Config{DSN: dsn}), open(t, postgres.Config{DSN: dsn, MaxConnections: 1, StatementTimeout: time.Minute})
	if err := holder.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	aUser(t, holder, "1")
	aSession(t, holder, "s", at)
	release := hold(t, holder, "SELECT FROM sessions WHERE id = 's' FOR UPDATE")
	first := make(chan error, 1)
	go func() {
		_, err := s.RevokeSession(context.Background(), "s", "logoff", repo.AuditEvent{ID: "1", At: at})
		first <- err
	}()
	for s.Write.Stats().InUse == 0 {
		time.Sleep(time.Millisecond)
	}
	for what, ask := range map[string]func(ctx context.Context) error{
		"a reader": func(ctx context.Context) error { _, err := s.FindSession(ctx, "s"); return err },
		"a refresh": func(ctx context.Context) error {
			_, err := s.RotateSession(ctx, "s", 1, at, at.Add(time.Hour))
			return err
		},
		"an exchange": func(ctx context.Context) error {
			_, err := s.StartKnownSession(ctx, newSession("x", "", at), repo.Exchange{Digest: []byte("x"), ExpiresAt: at}, repo.AuditEvent{ID: "x", At: at})
			return err
		},
		"a transaction": func(ctx context.Context) error {
			return s.DisableUser(ctx, "1", repo.AuditEvent{ID: "y", At: at})
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := ask(ctx); !errors.Is(err, repo.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
	release()
	if err := <-first; err != nil {
		t.Errorf("who had the connection: %v", err)
	}
}

// TestStandbyIsNotUsed connects to a server that says that it is a standby.
func TestStandbyIsNotUsed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if asked, err := greet(conn); err != nil || asked != "" {
				t.Errorf("it is asked %q, %v", asked, err)
			}
			_ = conn.Close()
		}
	}()
	s := open(t, postgres.Config{DSN: "postgres://a@" + listener.Addr().String() + "/a?sslmode=disable"})
	if err := s.Ping(t.Context()); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("it is ready: %v", err)
	}
	if _, err := s.FindSession(t.Context(), "s"); !errors.Is(err, repo.ErrUnavailable) {
		t.Errorf("a session of yesterday: %v", err)
	}
}

// greet does what a standby does when a client comes, and returns what the client
// asks for then; nothing where it goes.
func greet(conn net.Conn) (string, error) {
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return "", err
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(length[:]))-4); err != nil {
		return "", err
	}
	message := func(kind byte, body string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...) //nolint:gosec // short
	}
	authenticated, status, ready := message('R', "\x00\x00\x00\x00"), message('S', "in_hot_standby\x00on\x00"), message('Z', "I")
	if _, err := conn.Write(append(append(authenticated, status...), ready...)); err != nil {
		return "", err
	}
	asked := make([]byte, 1)
	n, err := conn.Read(asked)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return string(asked[:n]), err
}
