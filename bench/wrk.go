package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// commandWrk fills a database with users and sessions, and writes the sessions
// for wrk.
func commandWrk(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("wrk", flag.ContinueOnError)
	n := flags.Int("sessions", 10_000, "how many")
	threads := flags.Int("threads", 16, "of wrk")
	out := flags.String("out", "sessions", "what the files of the lines are called, before a dot and the number of the thread")
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
	if err := w.writeSessions(*out, *threads, e, 0, *n); err != nil {
		return err
	}
	fmt.Printf("GATEHOUSE_DATABASE_URL='%s' GATEHOUSE_SECRET=... GATEHOUSE_ISSUER=%s bin/gatehouse serve\n", e.url, issuer)
	return nil
}

// writeSessions shares the sessions [first, first+n) out among wrk's threads, a file for each, as lines of a cookie and a
// CSRF token: a Lua table can't have so many constants. Their order does not follow that of the rows.
func (w *world) writeSessions(name string, threads int, e *engine, first, n int) error {
	step := coprime(n)
	return inParallel(threads, func(t int) error {
		var lines strings.Builder
		for i := t; i < n; i += threads {
			session := first + i*step%n
			c, err := w.cookieOf(session, e.users, 1, e.seededAt)
			if err != nil {
				return err
			}
			lines.WriteString(c + " " + w.csrf.Token(sessionID(session)) + "\n")
		}
		return os.WriteFile(name+"."+strconv.Itoa(t), []byte(lines.String()), 0o600)
	})
}

// byWrk measures the refresh with another load generator than our own.
func (b *bench) byWrk(ctx context.Context, e *engine, clients int, d time.Duration) error {
	if err := checkLoopback(e.server.address); err != nil {
		return err
	}
	first, n := e.share(refreshFrom, graceFrom)
	sessions := filepath.Join(b.dir, "sessions")
	if err := errors.Join(e.rewind(ctx, first, n), b.writeSessions(sessions, clients, e, first, n)); err != nil {
		return err
	}
	count := strconv.Itoa(clients)
	// A second more than the others have: it knows no warm-up, and all it does counts, the start of its threads, too. The server
	// is warm: it was loaded just before.
	cmd := exec.CommandContext(ctx, "wrk", "-t"+count, "-c"+count, "-d"+strconv.Itoa(int(max(d, time.Second)/time.Second)+1)+"s", "--latency",
		"-s", "bench/wrk/refresh.lua", "http://"+e.server.address)
	cmd.Env = []string{"SESSIONS=" + sessions}
	m, err := e.target().around(ctx, func() (measure, error) {
		out, err := cmd.CombinedOutput()
		if err != nil {
			return measure{}, fmt.Errorf("wrk (of Debian's package wrk): %w\n%s", err, out)
		}
		return readWrk(string(out))
	})
	if err != nil {
		return err
	}
	m.ClientCPU = 0 // not ours, and wrk's has the reading of the sessions in it
	b.keep(key{"refresh, by wrk", e.name, clients}, m)
	return nil
}

var (
	wrkDone     = regexp.MustCompile(`(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`Requests/sec: +([\d.]+)`)
	wrkQuantile = regexp.MustCompile(`(?m)^ +(50|99)% +([\d.]+[a-z]+)$`)
)

// readWrk reads what wrk prints. A run in which anything was refused or broken is an error.
func readWrk(out string) (measure, error) {
	done, rate, quantiles := wrkDone.FindStringSubmatch(out), wrkRate.FindStringSubmatch(out), wrkQuantile.FindAllStringSubmatch(out, -1)
	if done == nil || rate == nil || len(quantiles) != 2 || !strings.Contains(out, "refused: 0\n") || strings.Contains(out, "Socket errors") {
		return measure{}, fmt.Errorf("wrk says something else:\n%s", out)
	}
	var m measure
	m.Requests, _ = strconv.Atoi(done[1])
	m.Rate, _ = strconv.ParseFloat(rate[1], 64)
	for _, q := range quantiles {
		d, err := time.ParseDuration(q[2])
		if err != nil {
			return measure{}, err
		}
		us := float64(d) / 1e3
		if q[1] == "50" {
			m.P50 = us
		} else {
			m.P99 = us
		}
	}
	return m, nil
}
