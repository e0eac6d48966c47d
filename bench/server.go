package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// program is the server as it is shipped.
const program = "bin/gatehouse"

// server is a running program under test.
type server struct {
	address string
	metrics string // the address of its metrics; empty: it has none
	cmd     *exec.Cmd
	ready   time.Duration // from its start until it said so
	ended   chan error
}

// settings are what every server of a run shares; all else is the default, the
// log of every request included, which goes to /dev/null.
func (w *world) settings(database string) map[string]string {
	settings := map[string]string{
		"GATEHOUSE_DATABASE_URL": database, "GATEHOUSE_SECRET": w.secret, "GATEHOUSE_ISSUER": issuer, "GATEHOUSE_IDPS": w.idp.config(),
	}
	for _, name := range []string{"GOGC", "GOMEMLIMIT", "GODEBUG"} { // for experiments
		if value, given := os.LookupEnv(name); given {
			settings[name] = value
		}
	}
	return settings
}

// startServer runs the program, and returns when it is ready.
func startServer(ctx context.Context, settings map[string]string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	env := map[string]string{"GATEHOUSE_LISTEN": address, "GATEHOUSE_METRICS_LISTEN": metrics}
	maps.Copy(env, settings)
	s := &server{address: address, metrics: metrics, cmd: exec.Command(program, "serve")}
	for name, value := range env {
		s.cmd.Env = append(s.cmd.Env, name+"="+value)
	}
	return s, s.start(ctx, "/readyz")
}

// start starts the process, and waits until a path answers 200.
func (s *server) start(ctx context.Context, path string) error {
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if os.Getenv("BENCH_LOG") != "" { // to find out why it does not start
		s.cmd.Stderr = os.Stderr
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !answers(ctx, s.address, path) {
		select {
		case <-time.After(time.Millisecond):
		case err := <-s.ended:
			return fmt.Errorf("%s has ended; BENCH_LOG=1 shows what it says: %w", s.cmd.Path, err)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s is not ready: %w", s.cmd.Path, ctx.Err()), s.stop())
		}
	}
	s.ready = time.Since(began)
	return nil
}

func answers(ctx context.Context, address, path string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// stop ends the process as an operator would.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-s.ended
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() && exit.ExitCode() <= 1 {
		return nil
	}
	return err
}

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// gatehouse runs a command of the program to its end.
func gatehouse(ctx context.Context, settings map[string]string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("gatehouse %v: %w", args, err)
	}
	return out, nil
}
