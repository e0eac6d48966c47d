package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("run, growth or wrk?")
	}
	quick := os.Getenv("BENCH_QUICK") != ""
	switch name, args := args[0], args[1:]; name {
	case "run":
		return commandRun(ctx, args, quick)
	case "growth":
		return commandGrowth(ctx, args, quick)
	case "wrk":
		return commandWrk(ctx, args)
	case "plain":
		return commandPlain(ctx, args)
	default:
		return fmt.Errorf("there is no command %q: run, growth, wrk", name)
	}
}

// newBench returns a harness that has a directory of its own, and what takes it away.
func newBench(ctx context.Context) (*bench, func(), error) {
	w, err := newWorld(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	b := &bench{world: w, dir: dir, log: func(format string, args ...any) {
		fmt.Printf("%5.0f s  "+format+"\n", append([]any{time.Since(began).Seconds()}, args...)...)
	}}
	b.report = report{At: began.UTC(), Machine: machine(), Traffic: map[string]perRequest{}, Bare: map[string][]float64{}, Program: map[string]float64{}}
	version, err := gatehouse(ctx, nil, "version")
	b.report.Version = "gatehouse " + strings.TrimSpace(string(version))
	return b, func() { _ = os.RemoveAll(dir) }, err
}

// machine says what the figures were taken on.
func machine() string {
	model := runtime.GOARCH
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close() //nolint:errcheck // it was read
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s", runtime.NumCPU(), model, runtime.Version())
}

func commandRun(ctx context.Context, args []string, quick bool) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	out := flags.String("out", "bench/results", "where the results go")
	name := flags.String("name", "latest", "what their files are called")
	only := flags.String("only", "", "measure only the scenario of this name, without the peer and the bare figures")
	clients := flags.String("clients", "1,16,64", "how many clients, one after the other")
	withPeer := flags.Bool("peer", true, "measure the Django peer")
	seconds := flags.Duration("seconds", 0, "how long each measurement takes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b, done, err := newBench(ctx)
	if err != nil {
		return err
	}
	defer done()
	b.seconds, b.rounds = 3*time.Second, 3
	if quick {
		b.seconds, b.rounds = time.Second, 1
	}
	if *seconds > 0 {
		b.seconds = *seconds
	}
	for text := range strings.SplitSeq(*clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-clients: %q is no number of clients", text)
		}
		b.clients = append(b.clients, n)
	}
	b.report.Rounds, b.report.Seconds = b.rounds, b.seconds.Seconds()
	if err := b.run(ctx, *only, *withPeer && *only == ""); err != nil {
		return err
	}
	b.report.judge(b.clients)
	fmt.Println("\n" + b.report.table())
	return b.report.write(*out, *name)
}
