package main

import (
	"fmt"
	"math"
	"runtime"
)

// verdict is a target and what was measured.
type verdict struct {
	Name   string    `json:"name"`
	Want   string    `json:"want"`
	Got    float64   `json:"got"`
	Rounds []float64 `json:"rounds,omitempty"`
	Pass   bool      `json:"pass"`
}

func (v verdict) word() string {
	switch {
	case v.Want == "":
		return "" // it is told, not judged
	case v.Pass:
		return "pass"
	default:
		return "MISS"
	}
}

// atLeast and atMost hold the median of the rounds to a bound.
func (r *report) atLeast(name string, bound float64, rounds ...float64) {
	if len(rounds) == 0 || math.IsNaN(rounds[0]) || math.IsInf(rounds[0], 0) {
		return // not measured
	}
	got := median(rounds)
	r.Targets = append(r.Targets, verdict{name, fmt.Sprintf("≥ %.3g", bound), got, rounds, got >= bound})
}

func (r *report) atMost(name string, bound float64, rounds ...float64) {
	if len(rounds) == 0 {
		return
	}
	got := median(rounds)
	r.Targets = append(r.Targets, verdict{name, fmt.Sprintf("≤ %.3g", bound), got, rounds, got <= bound})
}

// tell has the median of the rounds beside the targets.
func (r *report) tell(name string, rounds ...float64) {
	if len(rounds) > 0 {
		r.Targets = append(r.Targets, verdict{name, "", median(rounds), rounds, true})
	}
}

// judge holds the report to the targets. All are ratios within one run, or counts.
func (r *report) judge(clients []int) {
	r.Targets = nil
	on := func(scenario string, n int) key { return key{scenario, "postgres", n} }
	for _, scenario := range []string{"refresh", "refresh, by wrk"} {
		for _, n := range clients {
			r.atLeast(fmt.Sprintf("%s / pgbench with its statement, %d clients", scenario, n), .5, r.ratios(on(scenario, n), key{"refresh", "limit", n})...)
		}
	}
	for _, n := range clients {
		plain := key{"refresh", "plain", n}
		r.tell(fmt.Sprintf("net/http and lib/pq with that statement alone / pgbench, %d clients", n), r.ratios(plain, key{"refresh", "limit", n})...)
		r.tell(fmt.Sprintf("refresh / net/http and lib/pq alone, %d clients", n), r.ratios(on("refresh", n), plain)...)
	}
	for _, n := range clients {
		var tails []float64
		if c := r.cell(on("refresh", n)); c != nil {
			for _, m := range c.Rounds {
				tails = append(tails, m.P99/m.P50)
			}
		}
		r.atMost(fmt.Sprintf("refresh p99 / p50, %d clients", n), 5, tails...)
	}
	for _, t := range []struct {
		scenario string
		bound    float64
	}{{"refresh", 5}, {"social-exchange", 15}, {"verify", 5}, {"verify, first time", 5}} {
		// Against the peer at its best: the highest of its rates at any number of clients.
		r.atLeast(t.scenario+" / Django peer, each at its best", t.bound, r.best(t.scenario, "postgres", clients)/r.best(t.scenario, "peer", clients))
	}
	r.atMost("refresh, SQL statements", 1, r.Traffic["refresh"].Statements)
	r.atMost("social-exchange of a known user, round trips", 2, r.Traffic["social-exchange"].RoundTrips)
	r.judgeBare(clients)
	for _, name := range sortedKeys(r.Program) {
		bound := map[byte]float64{'b': 25, 'i': 30, 's': 60}[name[0]]
		r.atMost(name, bound, r.Program[name])
	}
}

func (r *report) judgeBare(clients []int) {
	most := clients[len(clients)-1]
	for _, engine := range []string{"postgres", "sqlite"} {
		c := r.cell(key{"sign-in", engine, most})
		if c == nil {
			continue
		}
		var rates, peaks []float64
		for _, m := range c.Rounds {
			rates = append(rates, m.Rate/m.Bare)
			peaks = append(peaks, float64(m.PeakMemory)/(1<<20))
		}
		r.atLeast(fmt.Sprintf("sign-in / bare argon2id, %s, %d clients", engine, most), .95, rates...)
		r.atMost(fmt.Sprintf("sign-in peak memory, MiB, %s, %d clients", engine, most), float64(runtime.GOMAXPROCS(0)*19+64), peaks...)
	}
	for _, t := range []struct {
		name, ours, bare string
		factor           float64
	}{
		{"token issue / (1.2 × bare signature + 5 µs)", issueTime, signTime, 1.2},
		{"ID token verification / (1.3 × bare verification + 5 µs)", idTime, verifyTime, 1.3},
	} {
		var rounds []float64
		for i := range r.Bare[t.ours] {
			rounds = append(rounds, r.Bare[t.ours][i]/(t.factor*r.Bare[t.bare][i]+5))
		}
		r.atMost(t.name, 1, rounds...)
	}
}

// best is the highest median rate at any number of clients.
func (r *report) best(scenario, engine string, clients []int) float64 {
	var best float64
	for _, n := range clients {
		if c := r.cell(key{scenario, engine, n}); c != nil {
			best = max(best, c.Median.Rate)
		}
	}
	return best
}
