package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPgbenchCountsItsWindow(t *testing.T) {
	t.Parallel()
	logs := filepath.Join(t.TempDir(), "pgbench")
	for name, text := range map[string]string{
		".1":   "0 1 900 0 1700000000 500000\n0 2 200 0 1700000001 500000\n0 3 300 0 1700000001 500001\n",
		".1.1": "1 1 800 0 1700000000 999999\n1 2 400 0 1700000003 500000\n1 3 900 0 1700000003 500001\n1 4 90",
	} {
		if err := os.WriteFile(logs+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(seconds, us int64) time.Time { return time.UnixMicro((1700000000+seconds)*1e6 + us) }
	m, err := readPgbench(logs, window{at(1, 500000), at(3, 500000), 150 * time.Microsecond})
	if err != nil || m.Requests != 2 || m.Rate != 1 || m.P50 < 300 || m.P50 > 305 || m.P99 < 400 || m.P99 > 407 || m.DatabaseCPU != 75 {
		t.Errorf("%+v, %v: want the two that ended after its start and by its end, in two seconds, for 75 µs each", m, err)
	}
	for what, w := range map[string]window{
		"in which nothing ended":              {at(2, 0), at(3, 0), time.Millisecond},
		"after all was done":                  {at(5, 0), at(6, 0), time.Millisecond},
		"of no length":                        {at(1, 500000), at(1, 500000), 0},
		"that goes on when pgbench has ended": {at(1, 500000), at(3, 500001), time.Millisecond},
	} {
		if m, err := readPgbench(logs, w); !errors.Is(err, errWindow) {
			t.Errorf("a window %s: %+v, %v", what, m, err)
		}
	}
	if err := os.WriteFile(logs+".1", []byte("0 1 x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := readPgbench(logs, window{at(1, 500000), at(3, 500000), 0}); err == nil || errors.Is(err, errWindow) {
		t.Errorf("%+v, %v from no log", m, err)
	}
}

// fakePgbench is started as pgbench is, and does what a script says.
func fakePgbench(t *testing.T, script string) *pgbenchRun {
	t.Helper()
	p, err := startPgbench(t.Context(), "testdata/pgbench", filepath.Join(t.TempDir(), "log"), time.Second, 2, script)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPgbenchIsWarmWhenAllClientsHaveHadAnAnswer(t *testing.T) {
	t.Parallel()
	// The second client connects long after the first.
	p := fakePgbench(t, `trap 'echo $done; exit' ALRM
now=$(date +%s)
printf "0 1 9 0 $((now-9)) 0\n0 2 9 0 $((now-8)) 0\n" >$log
sleep 0.1
printf "1 1 9 0 $now 999999\n0 3 9 0 $((now+1)) 999999\n" >>$log
while :; do sleep 0.01; done
`)
	const warmup, d = 20 * time.Millisecond, 30 * time.Millisecond
	w, err := p.count(os.Getpid(), warmup, d)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.allAnswered()
	if err != nil || all.Nanosecond() != 999999000 || w.from.Before(all.Add(warmup)) || w.to.Before(w.from.Add(d)) {
		t.Errorf("%v to %v for answers at %v, %v", w.from, w.to, all, err)
	}
	if n, err := p.stop(); err != nil || n != 3 {
		t.Errorf("stopped after %d, %v", n, err)
	}
}

func TestPgbenchEndsTooEarly(t *testing.T) {
	t.Parallel()
	for what, script := range map[string]string{
		"no answer":              `echo $done`,
		"one client's":           `printf "0 1 9 0 1700000000 0\n" >$log; echo $done`,
		"all, but not for long":  `printf "0 1 9 0 1700000000 0\n1 1 9 0 1700000000 0\n" >$log; sleep 0.1; echo $done`,
		"half of a line as well": `printf "0 1 9 0 1700000000 0\n1 1 9 0 17" >$log; echo $done`,
	} {
		p := fakePgbench(t, script)
		if w, err := p.count(os.Getpid(), 0, time.Minute); !errors.Is(err, errWindow) {
			t.Errorf("%s: %+v, %v", what, w, err)
		}
		if n, err := p.stop(); err != nil || n != 3 {
			t.Errorf("%s: %d, %v", what, n, err)
		}
	}
	p := fakePgbench(t, `echo no such table; exit 2`)
	if w, err := p.count(os.Getpid(), 0, time.Minute); err == nil {
		t.Errorf("%+v of a pgbench that fails", w)
	}
	if _, err := p.stop(); err == nil || errors.Is(err, errWindow) {
		t.Errorf("pgbench has failed, not been short: %v", err)
	}
}

func TestATurnIsTriedTwice(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	b := &bench{log: func(string, ...any) {}}
	for what, c := range map[string]struct {
		turns []error
		done  bool
		err   error
	}{
		"it fills its window":              {[]error{nil}, true, nil},
		"it does the second time":          {[]error{errWindow, nil}, true, nil},
		"it never does, and is left out":   {[]error{errWindow, errWindow}, false, nil},
		"what is broken ends the run":      {[]error{broken}, false, broken},
		"it is broken when it comes again": {[]error{errWindow, broken}, false, broken},
	} {
		n := 0
		done, err := b.twice(func() error { n++; return c.turns[n-1] })
		if n != len(c.turns) || done != c.done || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v after %d", what, done, err, n)
		}
	}
}
