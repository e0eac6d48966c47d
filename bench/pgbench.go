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
	"syscall"
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

// errWindow is the failure of pgbench to be at work for all of the time that was to count.
var errWindow = errors.New("bench: pgbench did not fill the time that counts")

// pgbenchRun is pgbench at work.
type pgbenchRun struct {
	cmd     *exec.Cmd
	clients int
	logs    string        // what the names of its threads' logs begin with
	ended   chan struct{} // closed when it has; out and err are good from then on
	out     bytes.Buffer
	err     error
}

// pgbenchConnects is how long all clients may take to have their first answers.
const pgbenchConnects = time.Minute

// startPgbench lets pgbench work until it is stopped, or long beyond the time that is wanted.
func startPgbench(ctx context.Context, program, logs string, d time.Duration, clients int, args ...string) (*pgbenchRun, error) {
	p := &pgbenchRun{clients: clients, logs: logs, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, append([]string{"--no-vacuum", "--protocol=prepared", "--client=" + strconv.Itoa(clients),
		"--jobs=" + strconv.Itoa(min(clients, 2)), "--time=" + strconv.Itoa(int((d+pgbenchConnects)/time.Second)), "--log", "--log-prefix=" + logs}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// window is the part of a run that counts.
type window struct {
	from, to time.Time
	cpu      time.Duration // of Postgres in it
}

// count waits for the first answers of all clients, for the warm-up, and for the time that counts.
func (p *pgbenchRun) count(postmaster int, warmup, d time.Duration) (w window, err error) {
	all, err := p.allAnswered()
	if err != nil {
		return w, err
	}
	if err := p.pause(time.Until(all.Add(warmup))); err != nil {
		return w, err
	}
	w.from = time.Now()
	before, err := cpuBelow(postmaster)
	if err != nil {
		return w, err
	}
	if err := p.pause(time.Until(w.from.Add(d))); err != nil {
		return w, err
	}
	w.to = time.Now()
	after, err := cpuBelow(postmaster)
	w.cpu = after - before
	return w, err
}

// pause waits while pgbench works.
func (p *pgbenchRun) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-p.ended:
		return fmt.Errorf("%w: it has ended", errWindow)
	}
}

// allAnswered waits until each client has had an answer, and returns when that was.
func (p *pgbenchRun) allAnswered() (time.Time, error) {
	for {
		done, err := transactions(p.logs)
		if err != nil {
			return time.Time{}, err
		}
		first := map[int64]int64{}
		for _, t := range done {
			if at, ok := first[t.client]; !ok || t.end < at {
				first[t.client] = t.end
			}
		}
		if len(first) == p.clients {
			var last int64
			for _, at := range first {
				last = max(last, at)
			}
			return time.UnixMicro(last), nil
		}
		if err := p.pause(10 * time.Millisecond); err != nil {
			return time.Time{}, fmt.Errorf("%w, and %d of %d clients have had an answer", err, len(first), p.clients)
		}
	}
}

var pgbenchDone = regexp.MustCompile(`number of transactions actually processed: (\d+)`)

// stop ends pgbench, and returns how many transactions it made in all. SIGALRM is how pgbench itself learns that its time is
// over: it finishes what is under way, and tells.
func (p *pgbenchRun) stop() (int, error) {
	if err := p.cmd.Process.Signal(syscall.SIGALRM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	<-p.ended
	if p.err != nil {
		return 0, fmt.Errorf("pgbench: %w\n%s", p.err, p.out.String())
	}
	done := pgbenchDone.FindStringSubmatch(p.out.String())
	if done == nil {
		return 0, fmt.Errorf("pgbench says something else:\n%s", p.out.String())
	}
	return strconv.Atoi(done[1])
}

// transaction is a line of pgbench's log.
type transaction struct {
	client, end, took int64 // µs, since 1970 and for it alone
}

// transactions reads the logs of pgbench's threads as far as they are written.
func transactions(logs string) ([]transaction, error) {
	files, err := filepath.Glob(logs + ".*")
	if err != nil {
		return nil, err
	}
	var all []transaction
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			if !strings.HasSuffix(line, "\n") {
				break // pgbench writes by the block
			}
			var t transaction
			var number, script, second, us int64
			if _, err := fmt.Sscan(line, &t.client, &number, &t.took, &script, &second, &us); err != nil {
				return nil, fmt.Errorf("a line of pgbench's log: %w", err)
			}
			t.end = second*1e6 + us
			all = append(all, t)
		}
	}
	return all, nil
}

// readPgbench measures the transactions that ended in a window. pgbench must
// have been at work beyond its end.
func readPgbench(logs string, w window) (measure, error) {
	done, err := transactions(logs)
	if err != nil {
		return measure{}, err
	}
	from, to := w.from.UnixMicro(), w.to.UnixMicro()
	var h histogram
	var last int64
	for _, t := range done {
		last = max(last, t.end)
		if from < t.end && t.end <= to {
			h.add(time.Duration(t.took) * time.Microsecond)
		}
	}
	if h.n == 0 {
		return measure{}, fmt.Errorf("%w: it has done nothing in it", errWindow)
	}
	if last <= to {
		return measure{}, fmt.Errorf("%w: it had nothing more to do %d µs before its end", errWindow, to-last)
	}
	return measure{
		Requests: h.n, Rate: float64(h.n) / float64(to-from) * 1e6,
		P50: float64(h.quantile(.5)) / 1e3, P99: float64(h.quantile(.99)) / 1e3,
		DatabaseCPU: float64(w.cpu.Nanoseconds()) / 1e3 / float64(h.n),
	}, nil
}
