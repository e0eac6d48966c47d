package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// limitScript turns the server's own refresh statement, as it went over the
// wire, into a script for pgbench. Each client walks over sessions of its own,
// in an order that does not follow that of the rows.
func limitScript(statement string) string {
	for param, value := range map[string]string{
		"$1": "('" + sessionIs + "' || :id::text)",
		"$2": ":generation",
		"$3": "now()",
		"$4": "(now() + interval '24 hours')",
	} {
		statement = regexp.MustCompile(regexp.QuoteMeta(param)+`\b`).ReplaceAllLiteralString(statement, value)
	}
	return `\set id :first + :client_id * :own + permute(:k % :own, :own)
\set generation 1 + :k / :own
\set k :k + 1
` + strings.Join(strings.Fields(statement), " ") + ";\n"
}

// limitWarmup does not count. It begins when each of pgbench's clients has had an answer, so that neither connecting,
// which takes 64 of them half a second and more, is in it, nor what a new backend does first: loading the catalogue, and
// planning the statement.
//
// Who is compared with it has a warm-up of its own (target.measure): the server and the plain one have been running since
// the run began, with their connections to Postgres. wrk has none, see byWrk. All but wrk count for the same length.
const limitWarmup = time.Second

// limit measures what Postgres does alone of the refresh statement, unless
// pgbench does not fill its window, twice: then it says so, and returns false.
func (b *bench) limit(ctx context.Context, e *engine, clients int, d time.Duration) (measured bool, err error) {
	return b.twice(func() error { return b.limitOnce(ctx, e, clients, d) })
}

// twice gives a turn of pgbench that did not fill its window a second chance.
func (b *bench) twice(turn func() error) (done bool, err error) {
	for range 2 {
		if err = turn(); !errors.Is(err, errWindow) {
			return err == nil, err
		}
		b.log("not measured: %v", err)
	}
	return false, nil
}

// limitOnce measures the statement: prepared, by pgbench, on the same table, over
// TCP as the server does.
func (b *bench) limitOnce(ctx context.Context, e *engine, clients int, d time.Duration) error {
	program, err := pgbench()
	if err != nil {
		return err
	}
	first, n := e.share(limitFrom, refreshFrom)
	if err := e.rewind(ctx, first, n); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "limit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it goes with b.dir at the latest
	script := filepath.Join(dir, "refresh.sql")
	if err := os.WriteFile(script, []byte(limitScript(b.report.RefreshStatement)), 0o600); err != nil {
		return err
	}
	run, err := startPgbench(ctx, program, filepath.Join(dir, "log"), d+limitWarmup, clients,
		"--define=k=0", "--define=first="+strconv.Itoa(firstID+first), "--define=own="+strconv.Itoa(n/clients), "--file="+script, e.url)
	if err != nil {
		return err
	}
	counted, short := run.count(e.postmaster, limitWarmup, d)
	all, err := run.stop()
	if err := errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	if short != nil {
		return short
	}
	m, err := readPgbench(run.logs, counted)
	if err != nil {
		return err
	}
	b.keep(key{"refresh", "limit", clients}, m)
	return e.checkLimit(ctx, first, n, all)
}

// checkLimit makes sure that each statement has rotated a session.
func (e *engine) checkLimit(ctx context.Context, first, n, want int) error {
	var rotated int
	err := e.db.QueryRowContext(ctx, `SELECT sum(generation - 1) FROM sessions WHERE id >= $1 AND id < $2`, sessionID(first), sessionID(first+n)).Scan(&rotated)
	if err == nil && rotated != want {
		err = fmt.Errorf("pgbench says %d rotations, the table %d", want, rotated)
	}
	return err
}
