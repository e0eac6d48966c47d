package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/password"
	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/session"
)

// refreshesOfADay is how often a session is refreshed in between its sign-in and
// its end: eight hours of an open tab.
const refreshesOfADay = 96

// day lives a day in minutes: each of so many sessions begins, is refreshed, and ends, or
// goes on with one that was begun before, as fast as the machine goes; each hour of it is swept.
func (g *growth) day(ctx context.Context, sessions int) (err error) {
	b := g.b
	cheap, err := password.New(password.Config{Memory: 64}) // it is not the hashes that are measured
	if err != nil {
		return err
	}
	w := *b.world
	if w.hash, err = cheap.Hash(ctx, plain); err != nil {
		return err
	}
	e, err := w.openPostgres(ctx, "day", sessions/2, sessions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	settings := b.settings(e.url)
	settings["GATEHOUSE_PASSWORDS_MEMORY"] = "64"
	if e.server, err = startServer(ctx, settings); err != nil {
		return err
	}
	if err := e.exec(ctx, `SELECT pg_stat_reset()`); err != nil {
		return err
	}
	before, err := e.bytes(ctx)
	if err != nil {
		return err
	}
	workers, err := b.churners(e, 32)
	if err != nil {
		return err
	}
	began := time.Now()
	memory, requests, err := g.live(ctx, e, workers, sessions*(refreshesOfADay+2)/24)
	if err != nil {
		return err
	}
	g.line("A day in %v: %d requests by %d clients on %d sessions, each refreshed %d times between sign-in and log-off, 24 sweeps. Memory of the server at its quarters: %s MiB.",
		time.Since(began).Round(time.Second), requests, len(workers), sessions, refreshesOfADay, numbers(memory))
	return g.bloat(ctx, e, before)
}

// live makes the requests of 24 hours, with a sweep in each, and returns the server's memory, in MiB, at the quarters of the day.
func (g *growth) live(ctx context.Context, e *engine, workers []worker, hourly int) (memory []float64, requests int, err error) {
	// The clock is a day ahead: what has ended is swept at once, and not a day later.
	store, err := postgres.Open(postgres.Config{DSN: e.url})
	if err != nil {
		return nil, 0, err
	}
	defer store.Close() //nolint:errcheck // what was done is committed
	sweeper, err := session.NewSweeper(session.SweeperConfig{
		Store: store, Throttle: time.Hour, Pause: time.Millisecond, Now: func() time.Time { return time.Now().Add(24*time.Hour - time.Minute) },
		Keep: 24*time.Hour - time.Minute, // which leaves those alive whose idle time is a day
	})
	if err != nil {
		return nil, 0, err
	}
	for hour := 1; hour <= 24; hour++ {
		swept := make(chan error, 1)
		go func() { swept <- sweeper.Round(ctx) }()
		hours := make([]worker, len(workers))
		for i, w := range workers {
			hours[i] = &limited{w, hourly / len(workers)}
		}
		result, err := load(ctx, e.server.address, hours, maxRun)
		if err := errors.Join(err, <-swept); err != nil {
			return nil, 0, err
		}
		requests += result.latencies.n
		if hour%6 > 0 {
			continue
		}
		rss, err := memoryOf(e.server.cmd.Process.Pid, "VmRSS")
		if err != nil {
			return nil, 0, err
		}
		memory = append(memory, float64(rss>>20))
	}
	return memory, requests, nil
}

// churner is a browser that signs in, refreshes, and logs off, round by round,
// in many tabs of which each is somewhere else in its day.
type churner struct {
	tabs []churnTab
	at   int
}

type churnTab struct {
	user string
	tab
	left int // refreshes before the log-off; below 0: it has to sign in
}

func (b *bench) churners(e *engine, clients int) ([]worker, error) {
	workers := make([]worker, clients)
	now := time.Now()
	err := inParallel(clients, func(c int) error {
		f := &churner{}
		for session := c; session < e.sessions; session += clients {
			value, err := b.cookieOf(session, e.users, 1, now)
			if err != nil {
				return err
			}
			f.tabs = append(f.tabs, churnTab{usernameOf(session % e.users), tab{value, b.csrfBody(session)}, session / clients % refreshesOfADay})
		}
		workers[c] = f
		return nil
	})
	return workers, err
}

func (f *churner) next() []byte {
	f.at = (f.at + 1) % len(f.tabs)
	t := &f.tabs[f.at]
	cookies := "Cookie: " + refreshCookie + "=" + t.cookie + "\r\n"
	switch {
	case t.left > 0:
		return post("/auth/refresh/", cookies, t.body)
	case t.left == 0:
		return post("/auth/logoff/", cookies, t.body)
	}
	return post("/auth/sign-in/", "", `{"username":"`+t.user+`","password":"`+plain+`"}`)
}

func (f *churner) took(r *reply) error {
	t := &f.tabs[f.at]
	value, set := r.cookieValue(refreshCookie)
	if r.status != http.StatusOK || !set {
		return r.unexpected(fmt.Sprint("in a day, with ", t.left, " to go"))
	}
	t.cookie = value
	if t.left--; t.left < -1 { // it has signed in
		var body struct {
			CSRF string `json:"CSRF_token"`
		}
		if err := json.Unmarshal(r.body, &body); err != nil {
			return err
		}
		t.body, t.left = `{"CSRF_token":"`+body.CSRF+`"}`, refreshesOfADay
	}
	return nil
}

// bytes is how large the table of sessions is, with its indexes.
func (e *engine) bytes(ctx context.Context) (n int64, err error) {
	err = e.db.QueryRowContext(ctx, `SELECT pg_total_relation_size('sessions')`).Scan(&n)
	return n, err
}

// bloat says what the day has left behind.
func (g *growth) bloat(ctx context.Context, e *engine, before int64) error {
	if err := e.exec(ctx, `ANALYZE`); err != nil { // it counts the rows, which nobody did since the reset
		return err
	}
	rows, err := e.db.QueryContext(ctx, `SELECT relname, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del, n_live_tup, n_dead_tup, autovacuum_count,
		pg_total_relation_size(relid) FROM pg_stat_user_tables WHERE n_tup_upd + n_tup_ins + n_tup_del > 0 ORDER BY relname`)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err says what went wrong
	lines := []string{"", "| table | inserted | updated | of that HOT | deleted | live | dead | autovacuums | MB |", "|---|--:|--:|--:|--:|--:|--:|--:|--:|"}
	for rows.Next() {
		var name string
		var inserted, updated, hot, deleted, live, dead, vacuums, size int64
		if err := rows.Scan(&name, &inserted, &updated, &hot, &deleted, &live, &dead, &vacuums, &size); err != nil {
			return err
		}
		share := "-"
		if updated > 0 {
			share = fmt.Sprintf("%.1f %%", 100*float64(hot)/float64(updated))
		}
		lines = append(lines, fmt.Sprintf("| %s | %d | %d | %s | %d | %d | %d | %d | %.1f |", name, inserted, updated, share, deleted, live, dead, vacuums, float64(size)/1e6))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	g.line("%s", strings.Join(lines, "\n"))
	after, err := e.bytes(ctx)
	g.line("The sessions with their indexes: %.1f MB before the day, %.1f MB after it.", float64(before)/1e6, float64(after)/1e6)
	return err
}
