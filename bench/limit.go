package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pgbench finds the program, which Debian keeps out of the path.
func pgbench() (string, error) {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench") // the pattern is well formed
	if len(found) == 0 {
		return "", errors.New("bench: pgbench is missing; Debian's postgresql-15 has it")
	}
	return slices.Max(found), nil
}

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

var pgbenchDone = regexp.MustCompile(`number of transactions actually processed: (\d+)`)

// limitWarmup does not count: in it the backends, which are new, load the catalogue and plan the statement.
const limitWarmup = time.Second

// limit measures what Postgres does alone of the refresh statement: prepared, by
// pgbench, on the same table, over TCP as the server does.
func (b *bench) limit(ctx context.Context, e *engine, clients int, d time.Duration) error {
	program, err := pgbench()
	if err != nil {
		return err
	}
	first, n := e.share(limitFrom, refreshFrom)
	if err := e.rewind(ctx, first, n); err != nil {
		return err
	}
	script := filepath.Join(b.dir, "refresh.sql")
	if err := os.WriteFile(script, []byte(limitScript(b.report.RefreshStatement)), 0o600); err != nil {
		return err
	}
	before, err := cpuBelow(e.postmaster)
	if err != nil {
		return err
	}
	logs := filepath.Join(b.dir, "pgbench")
	cmd := exec.CommandContext(ctx, program, "--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(clients),
		"--jobs="+strconv.Itoa(min(clients, 2)), "--time="+strconv.Itoa(int(max(d, time.Second)+limitWarmup)/int(time.Second)),
		"--define=k=0", "--define=first="+strconv.Itoa(firstID+first), "--define=own="+strconv.Itoa(n/clients),
		"--file="+script, "--log", "--log-prefix="+logs, e.url)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pgbench: %w\n%s", err, out.String())
	}
	after, err := cpuBelow(e.postmaster)
	if err != nil {
		return err
	}
	done := pgbenchDone.FindStringSubmatch(out.String())
	if done == nil {
		return fmt.Errorf("pgbench says something else:\n%s", out.String())
	}
	all, _ := strconv.Atoi(done[1]) // digits
	m, err := readPgbench(logs)
	if err != nil {
		return err
	}
	m.DatabaseCPU = float64((after - before).Nanoseconds()) / 1e3 / float64(all)
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

// readPgbench reads, and removes, the logs of pgbench's threads, which have a line for each transaction.
func readPgbench(logs string) (measure, error) {
	files, err := filepath.Glob(logs + ".*")
	if err != nil {
		return measure{}, err
	}
	var ends, took []int64 // µs
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return measure{}, err
		}
		for line := range strings.Lines(string(b)) {
			var client, number, latency, script, second, us int64
			if _, err := fmt.Sscan(line, &client, &number, &latency, &script, &second, &us); err != nil {
				return measure{}, fmt.Errorf("a line of pgbench's log: %w", err)
			}
			ends, took = append(ends, second*1e6+us), append(took, latency)
		}
		if err := os.Remove(file); err != nil {
			return measure{}, err
		}
	}
	if len(ends) == 0 {
		return measure{}, errors.New("pgbench did nothing")
	}
	from, to := slices.Min(ends)+limitWarmup.Microseconds(), slices.Max(ends)
	var h histogram
	for i, end := range ends {
		if end > from {
			h.add(time.Duration(took[i]) * time.Microsecond)
		}
	}
	return measure{
		Requests: h.n, Rate: float64(h.n) / float64(to-from) * 1e6,
		P50: float64(h.quantile(.5)) / 1e3, P99: float64(h.quantile(.99)) / 1e3,
	}, nil
}
