package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

// commandWrk fills a database with users and sessions, and writes the sessions
// as lines of a cookie and a CSRF token for bench/wrk/refresh.lua: a Lua table can't
// have so many constants.
func commandWrk(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("wrk", flag.ContinueOnError)
	n := flags.Int("sessions", 10_000, "how many")
	out := flags.String("out", "sessions.txt", "the file of the lines")
	database := flags.String("database", "gatehouse_wrk", "the Postgres database to make; GATEHOUSE_TEST_POSTGRES says where")
	if err := flags.Parse(args); err != nil {
		return err
	}
	secret := os.Getenv("GATEHOUSE_SECRET")
	if secret == "" {
		return errors.New("GATEHOUSE_SECRET must have the secret that the server will have")
	}
	w, err := newWorld(ctx, secret)
	if err != nil {
		return err
	}
	e, err := w.openPostgres(ctx, *database, max(1, *n/5), *n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	text, err := w.sessionLines(e)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*out, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Printf("GATEHOUSE_DATABASE_URL='%s' GATEHOUSE_SECRET=... GATEHOUSE_ISSUER=%s bin/gatehouse serve\n", e.url, issuer)
	return nil
}

func (w *world) sessionLines(e *engine) (string, error) {
	lines := make([]string, e.sessions)
	err := inParallel(e.sessions, func(i int) error {
		c, err := w.cookieOf(i, e.users, 1, e.seededAt)
		lines[i] = c + " " + w.csrf.Token(sessionID(i)) + "\n"
		return err
	})
	return strings.Join(lines, ""), err
}
