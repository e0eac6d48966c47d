package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// plainAnswer is about as long as the body and the cookies of a refresh.
const plainAnswer = 1500

// commandPlain serves the statement of a refresh, and nothing else: no cookie,
// no check, no token, no log. It is what net/http, database/sql and lib/pq leave
// to whoever builds on them. run starts it.
func commandPlain(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("plain: an address and a statement, not %d arguments", len(args))
	}
	db, err := sql.Open("postgres", os.Getenv("PLAIN_DATABASE"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(16) // as the server has
	db.SetMaxIdleConns(16)
	rotate, err := db.Prepare(args[1])
	if err != nil {
		return err
	}
	answer := strings.Repeat("x", plainAnswer)
	http.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		session, generation, _ := strings.Cut(string(body), " ")
		if err == nil {
			err = rotateOnce(rotate, session, generation)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, answer) // who is gone does not read it
	})
	server := &http.Server{Addr: args[0], ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // whatever is under way is not waited for
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// rotateOnce runs the statement, and reads all that it returns.
func rotateOnce(rotate *sql.Stmt, session, generation string) error {
	now := time.Now()
	rows, err := rotate.Query(session, generation, now, now.Add(24*time.Hour))
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(any)
	}
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(values...); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("%d rows", n)
}

// startPlain starts the plain server on the database of an engine.
func (b *bench) startPlain(ctx context.Context, pg *engine) (*engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	plain := *pg
	plain.name = "plain"
	plain.server = &server{address: address, cmd: exec.Command(self, "plain", address, b.report.RefreshStatement)}
	plain.server.cmd.Env = []string{"PLAIN_DATABASE=" + pg.url}
	return &plain, plain.server.start(ctx, "/")
}

// plainWorker is a refresher that counts the generations of its sessions itself.
type plainWorker struct {
	sessions []string
	passed   []int // generations
	at, step int
}

func (c *plainWorker) next() []byte {
	c.at = (c.at + c.step) % len(c.sessions)
	return post("/", "", c.sessions[c.at]+" "+strconv.Itoa(1+c.passed[c.at]))
}

func (c *plainWorker) took(r *reply) error {
	if r.status != http.StatusOK {
		return r.unexpected("rotating")
	}
	c.passed[c.at]++
	return nil
}

func preparePlain(ctx context.Context, _ *bench, e *engine, clients int) ([]worker, error) {
	first, n := e.share(refreshFrom, graceFrom)
	if err := e.rewind(ctx, first, n); err != nil {
		return nil, err
	}
	workers := make([]worker, clients)
	for c := range workers {
		own := n / clients
		w := &plainWorker{sessions: make([]string, own), passed: make([]int, own), step: coprime(own)}
		for i := range w.sessions {
			w.sessions[i] = sessionID(first + c*own + i)
		}
		workers[c] = w
	}
	return workers, nil
}
