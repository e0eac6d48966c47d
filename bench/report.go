package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// key names a cell of the table.
type key struct {
	Scenario string `json:"scenario"`
	Engine   string `json:"engine"` // postgres, sqlite; limit: pgbench; plain: net/http and lib/pq alone; peer: Django
	Clients  int    `json:"clients"`
}

// cell is all measurements of one kind, one for each round.
type cell struct {
	key
	Rounds []measure `json:"rounds"`
	Median measure   `json:"median"`
	Spread float64   `json:"spread"` // of the rate: (highest - lowest) / median
}

// report is the result of a run.
type report struct {
	At               time.Time             `json:"at"`
	Machine          string                `json:"machine"`
	Version          string                `json:"version"`
	Rounds           int                   `json:"rounds"`
	Seconds          float64               `json:"seconds"` // of a measurement
	Cells            []*cell               `json:"cells"`
	Traffic          map[string]perRequest `json:"traffic"`
	Bare             map[string][]float64  `json:"bare"` // one figure for each round
	Program          map[string]float64    `json:"program"`
	Peer             string                `json:"peer"`
	Targets          []verdict             `json:"targets"`
	RefreshStatement string                `json:"refresh_statement"`
}

func (r *report) add(k key, m measure) {
	c := r.cell(k)
	if c == nil {
		c = &cell{key: k}
		r.Cells = append(r.Cells, c)
	}
	c.Rounds = append(c.Rounds, m)
	c.Median, c.Spread = medianOf(c.Rounds)
}

func (r *report) cell(k key) *cell {
	for _, c := range r.Cells {
		if c.key == k {
			return c
		}
	}
	return nil
}

// median of some numbers; of an even count the upper of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// medianOf takes the median of each figure by itself.
func medianOf(rounds []measure) (m measure, spread float64) {
	of := func(f func(measure) float64) float64 {
		var values []float64
		for _, r := range rounds {
			values = append(values, f(r))
		}
		return median(values)
	}
	m = measure{
		Requests: int(of(func(m measure) float64 { return float64(m.Requests) })),
		Rate:     of(func(m measure) float64 { return m.Rate }),
		P50:      of(func(m measure) float64 { return m.P50 }), P99: of(func(m measure) float64 { return m.P99 }),
		ServerCPU:   of(func(m measure) float64 { return m.ServerCPU }),
		DatabaseCPU: of(func(m measure) float64 { return m.DatabaseCPU }),
		ClientCPU:   of(func(m measure) float64 { return m.ClientCPU }),
		Allocations: of(func(m measure) float64 { return m.Allocations }), Bytes: of(func(m measure) float64 { return m.Bytes }),
		PeakMemory: int64(of(func(m measure) float64 { return float64(m.PeakMemory) })),
	}
	low, high := rounds[0].Rate, rounds[0].Rate
	for _, r := range rounds {
		low, high = min(low, r.Rate), max(high, r.Rate)
	}
	return m, (high - low) / m.Rate
}

// ratios of the rates of two cells, round by round.
func (r *report) ratios(a, b key) []float64 {
	x, y := r.cell(a), r.cell(b)
	if x == nil || y == nil {
		return nil
	}
	var values []float64
	for i := range min(len(x.Rounds), len(y.Rounds)) {
		values = append(values, x.Rounds[i].Rate/y.Rounds[i].Rate)
	}
	return values
}

// table is the report as people read it.
func (r *report) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n%d rounds of %v s; medians, and how far the rounds lie apart\n\n", r.Machine, r.Version, r.Rounds, r.Seconds)
	fmt.Fprintf(&b, "| request | on | clients | per second | ± | p50 ms | p99 ms | CPU µs: server | database | client | allocations | peak MiB | SQL | round trips |\n")
	fmt.Fprintf(&b, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Cells {
		m := c.Median
		sql, trips := "", ""
		if t, ok := r.Traffic[c.Scenario]; ok && c.Engine == "postgres" {
			sql, trips = fmt.Sprintf("%.3g", t.Statements), fmt.Sprintf("%.3g", t.RoundTrips)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %.0f | %.0f %% | %.2f | %.2f | %s | %s | %s | %s | %s | %s | %s |\n", c.Scenario, c.Engine, c.Clients,
			m.Rate, 100*c.Spread, m.P50/1e3, m.P99/1e3, figure(m.ServerCPU), figure(m.DatabaseCPU), figure(m.ClientCPU),
			figure(m.Allocations), figure(float64(m.PeakMemory>>20)), sql, trips)
	}
	fmt.Fprintf(&b, "\n| bare | median |\n|---|--:|\n")
	for _, name := range sortedKeys(r.Bare) {
		fmt.Fprintf(&b, "| %s | %.1f |\n", name, median(r.Bare[name]))
	}
	fmt.Fprintf(&b, "\n| program | |\n|---|--:|\n")
	for _, name := range sortedKeys(r.Program) {
		fmt.Fprintf(&b, "| %s | %.1f |\n", name, r.Program[name])
	}
	fmt.Fprintf(&b, "\nPeer: %s\n\n| target | want | measured | rounds | |\n|---|--:|--:|---|---|\n", r.Peer)
	for _, v := range r.Targets {
		fmt.Fprintf(&b, "| %s | %s | %.3g | %s | %s |\n", v.Name, v.Want, v.Got, numbers(v.Rounds), v.word())
	}
	return b.String()
}

// figure is a number, or nothing where none was taken.
func figure(f float64) string {
	if f == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", f)
}

func numbers(values []float64) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprintf("%.3g", v))
	}
	return strings.Join(texts, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// write stores the report, its table and its chart.
func (r *report) write(dir, name string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for ending, content := range map[string][]byte{".json": append(b, '\n'), ".md": []byte(r.table()), ".svg": []byte(r.chart())} {
		if err := os.WriteFile(filepath.Join(dir, name+ending), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
