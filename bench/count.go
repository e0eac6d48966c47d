package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// statementsCounted is how many requests of each kind are followed on the wire.
const statementsCounted = 100

// limited lets a worker have so many requests.
type limited struct {
	worker
	left int
}

func (l *limited) next() []byte {
	if l.left--; l.left < 0 {
		return nil
	}
	return l.worker.next()
}

// countStatements counts what each kind of request costs on the wire, by one
// client, beside the measurements: a server that reaches Postgres by a proxy.
func (b *bench) countStatements(ctx context.Context, e *engine, of []scenario) (err error) {
	u, err := url.Parse(e.url)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	proxy, err := newCountingProxy(ctx, u.Host)
	if err != nil {
		return err
	}
	u.Host = proxy.address
	through := *e
	settings := b.settings(u.String())
	settings["GATEHOUSE_DATABASE_MAX_CONNECTIONS"] = "1" // on which everything is soon prepared
	if through.server, err = startServer(ctx, settings); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, through.server.stop()) }()
	for _, s := range of {
		workers, err := s.prepare(ctx, b, &through, 1)
		if err != nil {
			return err
		}
		// The first requests prepare the statements.
		if _, err := load(ctx, through.server.address, []worker{&limited{workers[0], 10}}, time.Minute); err != nil {
			return err
		}
		before := proxy.now()
		if _, err := load(ctx, through.server.address, []worker{&limited{workers[0], statementsCounted}}, time.Minute); err != nil {
			return err
		}
		after := proxy.now()
		b.report.Traffic[s.name] = perRequest{
			Statements: float64(after.Statements-before.Statements) / statementsCounted,
			RoundTrips: float64(after.RoundTrips-before.RoundTrips) / statementsCounted,
		}
	}
	if b.report.RefreshStatement = proxy.text("UPDATE sessions s SET generation"); b.report.RefreshStatement == "" {
		return fmt.Errorf("the server has sent no statement that rotates a session")
	}
	return nil
}

// perRequest is what a request costs on the wire to Postgres.
type perRequest struct {
	Statements float64 `json:"statements"`
	RoundTrips float64 `json:"round_trips"`
}
