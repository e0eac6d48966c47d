package e2e_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// program runs a program of somebody else until the test ends, and returns what
// ready captures from the first line of its output that it matches.
func program(t *testing.T, cmd *exec.Cmd, ready *regexp.Regexp) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// A group of its own: workers that it starts end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = write, write
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v; `make deps` and `make test-e2e` install what these tests need", err)
	}
	write.Close() //nolint:errcheck // the program has its own
	log, matched := &logBuffer{}, make(chan string, 1)
	go func() {
		defer close(matched)
		found := false
		for lines := bufio.NewScanner(read); lines.Scan(); {
			_, _ = log.Write(append(lines.Bytes(), '\n'))
			if m := ready.FindStringSubmatch(lines.Text()); m != nil && !found {
				found = true
				matched <- m[len(m)-1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		hard := time.AfterFunc(20*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		_ = cmd.Wait()
		hard.Stop()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), log)
		}
	})
	select {
	case what, ok := <-matched:
		if !ok {
			t.Fatalf("%s has ended:\n%s", cmd.Path, log)
		}
		return what
	case <-time.After(60 * time.Second):
		t.Fatalf("%s does not start:\n%s", cmd.Path, log)
		return ""
	}
}

// freePort returns a loopback port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing was sent
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// node returns the Node program that the test tools bring along, or the
// machine's own where they have none for it.
func node(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../test/node_modules/.bin/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return "node"
}
