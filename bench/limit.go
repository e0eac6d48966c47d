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

var (
	pgbenchDone = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	pgbenchRate = regexp.MustCompile(`tps = ([\d.]+) \(without initial`)
)

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
		"--jobs="+strconv.Itoa(min(clients, 2)), "--time="+strconv.Itoa(max(1, int(d.Seconds()))),
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
	m, err := readPgbench(out.String(), logs)
	if err != nil {
		return err
	}
	m.DatabaseCPU = float64((after - before).Nanoseconds()) / 1e3 / float64(m.Requests)
	b.keep(key{"refresh", "limit", clients}, m)
	return e.checkLimit(ctx, first, n, m.Requests)
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

func readPgbench(out, logs string) (measure, error) {
	done, rate := pgbenchDone.FindStringSubmatch(out), pgbenchRate.FindStringSubmatch(out)
	if done == nil || rate == nil {
		return measure{}, fmt.Errorf("pgbench says something else:\n%s", out)
	}
	var m measure
	m.Requests, _ = strconv.Atoi(done[1])
	m.Rate, _ = strconv.ParseFloat(rate[1], 64)
	files, err := filepath.Glob(logs + ".*")
	if err != nil {
		return measure{}, err
	}
	var h histogram
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return measure{}, err
		}
		for line := range strings.Lines(string(b)) { // client, number, latency in µs, ...
			fields := strings.Fields(line)
			us, err := strconv.ParseInt(fields[2], 10, 64)
			if err != nil {
				return measure{}, err
			}
			h.add(time.Duration(us) * time.Microsecond)
		}
		if err := os.Remove(file); err != nil {
			return measure{}, err
		}
	}
	m.P50, m.P99 = float64(h.quantile(.5))/1e3, float64(h.quantile(.99))/1e3
	return m, nil
}
