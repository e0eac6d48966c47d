package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// engine is a seeded database with a server on it.
type engine struct {
	name            string // postgres, sqlite
	url             string // the server's database_url
	db              *sql.DB
	server          *server
	users, sessions int
	postmaster      int // 0: none
	seededAt        time.Time
	tokens          []string // access tokens of late
	tokensAt        time.Time
	client          struct { // a service that may introspect
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	// presented is how many of the tokens were, by those who present each for the first time.
	presented *atomic.Uint64
}

func (e *engine) embedded() bool { return e.name == "sqlite" }

// openPostgres makes a database of its own for the service, migrates and seeds it.
func (w *world) openPostgres(ctx context.Context, name string, users, sessions int) (*engine, error) {
	admin := os.Getenv("GATEHOUSE_TEST_POSTGRES")
	u, err := url.Parse(admin)
	if err != nil || admin == "" {
		return nil, errors.New("bench: GATEHOUSE_TEST_POSTGRES must have the DSN of a Postgres on this machine: scripts/postgres.sh")
	}
	if err := checkLoopback(u.Host); err != nil {
		return nil, err
	}
	db, err := sql.Open("postgres", admin)
	if err != nil {
		return nil, err
	}
	defer db.Close() //nolint:errcheck // what was done is committed
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	u.Path = "/" + name
	e := &engine{name: "postgres", url: u.String(), users: users, sessions: sessions}
	if e.db, err = sql.Open("postgres", e.url); err != nil {
		return nil, err
	}
	if err := w.fill(ctx, e); err != nil {
		return nil, err
	}
	if _, err := e.db.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
		return nil, err
	}
	var backend int
	if err := e.db.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return nil, err
	}
	fields, err := statOf(backend)
	if err != nil {
		return nil, fmt.Errorf("finding the server process of Postgres: %w", err)
	}
	e.postmaster, err = strconv.Atoi(fields[1])
	return e, err
}

// openSQLite does the same for the embedded database.
func (w *world) openSQLite(ctx context.Context, path string, users, sessions int) (*engine, error) {
	e := &engine{name: "sqlite", url: "sqlite:" + path, users: users, sessions: sessions}
	var err error
	// Times as the server has them; one connection, which waits for the server's.
	e.db, err = sql.Open("sqlite", path+"?_busy_timeout=5000&_journal_mode=WAL&_synchronous=NORMAL&_time_integer_format=unix_micro&_inttotime=1")
	if err != nil {
		return nil, err
	}
	e.db.SetMaxOpenConns(1)
	return e, w.fill(ctx, e)
}

func (w *world) fill(ctx context.Context, e *engine) error {
	if _, err := gatehouse(ctx, w.settings(e.url), "migrate", "up"); err != nil {
		return err
	}
	client, err := gatehouse(ctx, w.settings(e.url), "client", "add", "bench", "--json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(client, &e.client); err != nil {
		return err
	}
	e.seededAt = time.Now().UTC().Truncate(time.Second)
	return w.seed(ctx, e)
}

// exec runs a statement that prepares a run.
func (e *engine) exec(ctx context.Context, text string, args ...any) error {
	if _, err := e.db.ExecContext(ctx, text, args...); err != nil {
		return fmt.Errorf("%.40s: %w", strings.TrimSpace(text), err)
	}
	return nil
}

func (e *engine) close() error {
	var err error
	if e.server != nil {
		err = e.server.stop()
	}
	return errors.Join(err, e.db.Close())
}
