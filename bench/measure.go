package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// bench is one run of the harness.
type bench struct {
	*world
	seconds time.Duration // of one measurement
	rounds  int
	clients []int
	dir     string // for files, gone at the end
	report  report
	log     func(format string, args ...any)
}

// measure is what one measurement gave. Times are in microseconds, for one request.
type measure struct {
	Requests    int     `json:"requests"`
	Rate        float64 `json:"rate"` // requests a second
	P50         float64 `json:"p50_us"`
	P99         float64 `json:"p99_us"`
	ServerCPU   float64 `json:"server_cpu_us,omitempty"`
	DatabaseCPU float64 `json:"database_cpu_us,omitempty"`
	ClientCPU   float64 `json:"client_cpu_us,omitempty"` // of the load generator
	Allocations float64 `json:"allocations,omitempty"`
	Bytes       float64 `json:"allocated_bytes,omitempty"`
	PeakMemory  int64   `json:"peak_memory_bytes,omitempty"`
	Bare        float64 `json:"bare_rate,omitempty"` // of the bare function, around it
}

// gauge is what is read before and after.
type gauge struct {
	server, database, client time.Duration
	counters                 counters
}

// target is what is loaded: a server of ours, or the peer.
type target struct {
	address    string
	pid        int
	forks      bool   // its work is done by its children
	metrics    string // empty: it has none
	postmaster int    // 0: none
}

func (t target) read(ctx context.Context) (g gauge, err error) {
	if t.metrics != "" {
		if g.counters, err = scrape(ctx, t.metrics); err != nil {
			return g, err
		}
	}
	cpu := cpuOf
	if t.forks {
		cpu = cpuBelow
	}
	if g.server, err = cpu(t.pid); err != nil {
		return g, err
	}
	if t.postmaster != 0 {
		if g.database, err = cpuBelow(t.postmaster); err != nil {
			return g, err
		}
	}
	g.client = ownCPU()
	return g, nil
}

// measure loads a target for a time, after a short while that does not count: a
// fifth of the time, half a second at most. What is loaded has been running for
// long, and keeps its connections to Postgres; those to it are new for each.
func (t target) measure(ctx context.Context, workers []worker, d time.Duration) (measure, error) {
	runtime.GC()
	if _, err := load(ctx, t.address, workers, min(d/5, 500*time.Millisecond)); err != nil {
		return measure{}, err
	}
	if !t.forks {
		if err := resetPeak(t.pid); err != nil {
			return measure{}, err
		}
	}
	m, err := t.around(ctx, func() (measure, error) {
		result, err := load(ctx, t.address, workers, d)
		h := &result.latencies
		return measure{
			Requests: h.n, Rate: float64(h.n) / result.took.Seconds(),
			P50: float64(h.quantile(.5)) / 1e3, P99: float64(h.quantile(.99)) / 1e3,
		}, err
	})
	if err == nil && !t.forks {
		m.PeakMemory, err = memoryOf(t.pid, "VmHWM")
	}
	return m, err
}

// around adds to the measure of a run what each of its requests took of the processors and of memory.
func (t target) around(ctx context.Context, run func() (measure, error)) (measure, error) {
	before, err := t.read(ctx)
	if err != nil {
		return measure{}, err
	}
	m, err := run()
	if err != nil {
		return measure{}, err
	}
	after, err := t.read(ctx)
	if err != nil {
		return measure{}, err
	}
	n := float64(m.Requests)
	if n == 0 {
		return measure{}, errors.New("no request was answered")
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / n }
	m.ServerCPU, m.DatabaseCPU = each(after.server-before.server), each(after.database-before.database)
	m.ClientCPU = each(after.client - before.client)
	m.Allocations = (after.counters.mallocs - before.counters.mallocs) / n
	m.Bytes = (after.counters.bytes - before.counters.bytes) / n
	return m, nil
}

func (e *engine) target() target {
	return target{address: e.server.address, pid: e.server.cmd.Process.Pid, metrics: e.server.metrics, postmaster: e.postmaster}
}

// cell measures one scenario once.
func (b *bench) cell(ctx context.Context, s scenario, e *engine, clients int, d time.Duration) error {
	workers, err := s.prepare(ctx, b, e, clients)
	if err != nil {
		return fmt.Errorf("preparing %s on %s: %w", s.name, e.name, err)
	}
	m, err := e.target().measure(ctx, workers, d)
	if err != nil {
		return fmt.Errorf("%s on %s, %d clients: %w", s.name, e.name, clients, err)
	}
	b.keep(key{s.name, e.name, clients}, m)
	return nil
}

// keep adds a measurement to the report.
func (b *bench) keep(k key, m measure) {
	b.report.add(k, m)
	b.log("%-18s %-9s %3d  %9.0f/s  p50 %8.0f µs  p99 %8.0f µs  cpu %5.0f + %5.0f µs  %5.0f allocations",
		k.Scenario, k.Engine, k.Clients, m.Rate, m.P50, m.P99, m.ServerCPU, m.DatabaseCPU, m.Allocations)
}
