package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"
)

// Rows of a run that is not about growth.
const runUsers, runSessions = 10_000, 100_000

// sides are those who are measured.
type sides struct {
	postgres, sqlite *engine
	plain            *engine // what net/http and lib/pq do with the refresh statement alone
	peer             *peer   // nil: none
}

// run measures everything, round by round: what is compared is measured near
// each other in time.
func (b *bench) run(ctx context.Context, only string, everything bool) (err error) {
	pairs, users := 6000*b.rounds*int(b.seconds.Seconds()), 2000
	if only != "" && only != "social-exchange" {
		pairs = statementsCounted + 10
	}
	if err := b.idp.mint(min(pairs, 30_000), users); err != nil {
		return err
	}
	b.log("%d pairs of ID and access tokens are signed", len(b.idp.pairs))
	pg, err := b.openPostgres(ctx, "gatehouse_bench", runUsers, runSessions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.close()) }()
	lite, err := b.openSQLite(ctx, filepath.Join(b.dir, "bench.db"), runUsers, runSessions)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lite.close()) }()
	b.log("%d sessions of %d users are in both databases", runSessions, runUsers)
	if err := b.countStatements(ctx, pg, scenarios()); err != nil {
		return err
	}
	all := sides{postgres: pg, sqlite: lite}
	if everything {
		if err := b.measureProgram(ctx, []*engine{pg, lite}); err != nil {
			return err
		}
		if all.peer, err = b.startPeer(ctx, pg); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, all.peer.close()) }()
	}
	if all.plain, err = b.startPlain(ctx, pg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, all.plain.server.stop()) }()
	for _, e := range []*engine{pg, lite} {
		if e.server, err = startServer(ctx, b.settings(e.url)); err != nil {
			return err
		}
	}
	for range b.rounds {
		if err := b.round(ctx, all, only, everything); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) round(ctx context.Context, all sides, only string, everything bool) error {
	if everything {
		if err := b.signatures(ctx); err != nil {
			return err
		}
	}
	for _, s := range scenarios() {
		if only != "" && s.name != only {
			continue
		}
		if err := b.onPostgres(ctx, s, all); err != nil {
			return err
		}
		onSQLite := b.cell
		if s.name == "sign-in" {
			onSQLite = b.besideArgon
		}
		for _, clients := range b.clients {
			if err := onSQLite(ctx, s, all.sqlite, clients, b.seconds); err != nil {
				return err
			}
		}
	}
	return nil
}

// compared are the scenarios in which others take turns with us.
var compared = []string{"refresh", "verify", "verify, first time", "social-exchange"}

// onPostgres measures a scenario and what it is compared with. Those who are compared take turns, of a second or a third of the
// time, and with them the numbers of clients: a machine that others use, too, changes within seconds.
func (b *bench) onPostgres(ctx context.Context, s scenario, all sides) error {
	turn := b.seconds
	if slices.Contains(compared, s.name) {
		turn = max(b.seconds/3, time.Second)
	}
	for range max(1, b.seconds/turn) {
		for _, clients := range b.clients {
			if err := b.turn(ctx, s, all, clients, turn); err != nil {
				return err
			}
		}
	}
	return nil
}

// turn measures a scenario on Postgres once with some clients, and right beside it what it is compared with. Where the
// limit could not be measured the whole turn is left out: ratios are of one turn.
func (b *bench) turn(ctx context.Context, s scenario, all sides, clients int, d time.Duration) error {
	pg, onPostgres := all.postgres, b.cell
	switch s.name {
	case "refresh":
		if measured, err := b.limit(ctx, pg, clients, d); err != nil || !measured {
			return err
		}
		if err := b.cell(ctx, scenario{"refresh", preparePlain}, all.plain, clients, d); err != nil {
			return err
		}
	case "sign-in":
		onPostgres = b.besideArgon
	}
	if err := onPostgres(ctx, s, pg, clients, d); err != nil {
		return err
	}
	if s.name == "refresh" {
		if err := b.byWrk(ctx, pg, clients, d); err != nil {
			return err
		}
	}
	if s.name != "sign-in" && !slices.Contains(compared, s.name) {
		return nil
	}
	return all.peer.cell(ctx, s.name, clients, d)
}
