// Command gatehouse runs the token service and administers it. It wires the
// packages and decides nothing itself.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// untilTold returns a context that ends at the first SIGINT or SIGTERM. The next
// one ends the process, as the first does where nobody has called this: no read
// of standard input could be told.
func untilTold(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run is the program without the process: it returns the exit code.
func run(ctx context.Context, args []string, io streams) int {
	root := newRoot(io)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		within(lastLines, func() { fmt.Fprintln(io.err, "gatehouse:", err) })
		return 1
	}
	return 0
}

// lastLines is how long the end of the program waits for a log that takes nothing.
const lastLines = time.Second

// within does what may never end, and reports whether it has ended in time.
func within(limit time.Duration, do func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}
