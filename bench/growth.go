package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/repo/postgres"
	"github.com/gatehouse-auth/gatehouse/session"
)

// growth is what becomes of the service with many sessions, and with time.
type growth struct {
	b         *bench
	text      strings.Builder // the result, as it is printed and kept
	few, many *engine
}

// sampled is how many sessions of a database are refreshed, spread over all of it.
const sampled = 100_000

func commandGrowth(ctx context.Context, args []string, quick bool) (err error) {
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	few, many := flags.Int("few", 10_000, "sessions in the small database"), flags.Int("many", 10_000_000, "sessions in the large one")
	churn := flags.Int("churn", 10_000, "sessions that live through the day of churn at a time")
	out := flags.String("out", "bench/results/growth.md", "where the result goes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, done, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer done()
	b.seconds, b.rounds = 8*time.Second, 3
	if quick {
		*many, *churn, b.seconds, b.rounds = *many/20, *churn/10, 2*time.Second, 2
	}
	g := &growth{b: b}
	g.line("%s, %s", b.report.Machine, b.report.Version)
	if err := g.compare(ctx, *few, *many); err != nil {
		return err
	}
	if err := g.sweepAll(ctx); err != nil {
		return err
	}
	if err := errors.Join(g.few.close(), g.many.close()); err != nil {
		return err
	}
	if err := g.day(ctx, *churn); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(*out, []byte(g.text.String()), 0o644)
}

// line adds to the result.
func (g *growth) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintln(&g.text, text)
	g.b.log("%s", text)
}

// compare refreshes in both databases, turn by turn.
func (g *growth) compare(ctx context.Context, few, many int) (err error) {
	b := g.b
	if g.few, err = b.openPostgres(ctx, "few", max(1, few/5), few); err != nil {
		return err
	}
	if err := b.countStatements(ctx, g.few, scenarios()[:1]); err != nil {
		return err
	}
	began := time.Now()
	if g.many, err = b.openPostgres(ctx, "many", many/5, many); err != nil {
		return err
	}
	b.log("%d sessions were generated in %.0f s", many, time.Since(began).Seconds())
	if err := g.sizes(ctx, many); err != nil {
		return err
	}
	for _, e := range []*engine{g.few, g.many} {
		if err := e.warm(ctx); err != nil {
			return err
		}
		if e.server, err = startServer(ctx, b.settings(e.url)); err != nil {
			return err
		}
	}
	workers := map[*engine][]worker{}
	for _, e := range []*engine{g.few, g.many} {
		if workers[e], err = b.sample(e, 16); err != nil {
			return err
		}
	}
	for range b.rounds {
		for _, e := range []*engine{g.few, g.many} {
			m, err := e.target().measure(ctx, workers[e], b.seconds)
			if err != nil {
				return err
			}
			b.keep(key{"refresh", e.scale(), 16}, m)
		}
	}
	for _, e := range []*engine{g.few, g.many} {
		if err := g.limit(ctx, e); err != nil {
			return err
		}
	}
	g.line("%s", b.report.scaling(g.few.scale(), g.many.scale()))
	return nil
}

// scaling says what refreshing takes with few sessions and with many.
func (r *report) scaling(few, many string) string {
	small, large := r.cell(key{"refresh", few, 16}).Median, r.cell(key{"refresh", many, 16}).Median
	ratios := r.ratios(key{"refresh", many, 16}, key{"refresh", few, 16})
	return fmt.Sprintf("Refresh, 16 clients: %.0f/s with %s sessions, %.0f/s with %s; ratio %.3f (rounds: %s; wanted: 0.9). Postgres' CPU for a refresh: %.0f µs and %.0f µs.",
		large.Rate, many, small.Rate, few, median(ratios), numbers(ratios), large.DatabaseCPU, small.DatabaseCPU)
}

// limit is pgbench's rate in the same database.
func (g *growth) limit(ctx context.Context, e *engine) error {
	measured, err := g.b.limit(ctx, e, 16, g.b.seconds)
	if err != nil {
		return err
	}
	if !measured {
		g.line("pgbench with the same statement and %s sessions: not measured.", e.scale())
		return nil
	}
	limits := g.b.report.cell(key{"refresh", "limit", 16}).Rounds
	g.line("pgbench with the same statement and %s sessions: %.0f/s.", e.scale(), limits[len(limits)-1].Rate)
	return nil
}

func (e *engine) scale() string { return fmt.Sprint(e.sessions) }

// warm brings the rows and their index into the memory of the machine.
func (e *engine) warm(ctx context.Context) error {
	for _, text := range []string{
		`CREATE EXTENSION IF NOT EXISTS pg_prewarm`,
		`SELECT pg_prewarm('sessions'), pg_prewarm('sessions_pkey'), pg_prewarm('users'), pg_prewarm('users_pkey')`, `CHECKPOINT`,
	} {
		if err := e.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// sample takes some sessions from all over an engine. They are in their first
// generation, and go on from where a run leaves them.
func (b *bench) sample(e *engine, clients int) ([]worker, error) {
	n := min(sampled, e.sessions*(graceFrom-refreshFrom)/100)
	first, all := e.share(refreshFrom, graceFrom)
	return b.tabs(e, n, clients, func(i int) int { return first + i*(all/n) })
}

// sizes says what a session takes.
func (g *growth) sizes(ctx context.Context, sessions int) error {
	var table, primary, byUser int64
	err := g.many.db.QueryRowContext(ctx, `SELECT pg_table_size('sessions'), pg_relation_size('sessions_pkey'), pg_relation_size('sessions_user_id')`).
		Scan(&table, &primary, &byUser)
	per := func(n int64) float64 { return float64(n) / float64(sessions) }
	g.line("A session takes %.0f bytes of the table, %.0f of the primary key and %.0f of the index by user: %.1f GB for %d.",
		per(table), per(primary), per(byUser), float64(table+primary+byUser)/1e9, sessions)
	return err
}

// sweepAll measures a round of the sweeper over the large database: without
// pauses, to know what it costs, and what refreshing suffers of it meanwhile.
func (g *growth) sweepAll(ctx context.Context) error {
	store, err := postgres.Open(postgres.Config{DSN: g.many.url})
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // what was done is committed
	sweeper, err := session.NewSweeper(session.SweeperConfig{Store: store, Throttle: time.Hour, Pause: time.Nanosecond})
	if err != nil {
		return err
	}
	if err := g.many.exec(ctx, `UPDATE sessions SET revoked_at = $1 WHERE id >= $2 AND id < $3`,
		time.Now().Add(-48*time.Hour), sessionID(g.many.sessions*logoffFrom/100), sessionID(g.many.sessions*(logoffFrom+1)/100)); err != nil {
		return err
	}
	before, err := cpuBelow(g.many.postmaster)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := sweeper.Round(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := cpuBelow(g.many.postmaster)
	if err != nil {
		return err
	}
	batches := g.many.sessions / 500
	g.line("A sweep over %d sessions, %d of them dead, without pauses: %.0f s, %.0f s of Postgres' CPU, %.1f ms for a batch of 500. With the pauses of 50 ms a round takes %.0f minutes and %.1f %% of a core.",
		g.many.sessions, sweeper.Counts().Sessions, took.Seconds(), (after - before).Seconds(), took.Seconds()*1000/float64(batches),
		(took + time.Duration(batches)*50*time.Millisecond).Minutes(), 100*(after-before).Seconds()/(took+time.Duration(batches)*50*time.Millisecond).Seconds())
	return nil
}
