package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// prepared is the program in a folder of its own.
func prepared(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("gatehouse", args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(environ(), "GATEHOUSE_SECRET=0123456789abcdef0123456789abcdef", "GATEHOUSE_LISTEN=127.0.0.1:0", "GATEHOUSE_PASSWORDS_MEMORY=64")
	return cmd
}

// environ is that of the tests without what a program would take for its configuration.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "GATEHOUSE_") })
}

// start runs it, and kills it where nothing else has ended it for long.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hard := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { hard.Stop(); _ = cmd.Process.Kill() })
}

// endedBy waits for the program, and returns the signal that ended it.
func endedBy(cmd *exec.Cmd) syscall.Signal {
	_ = cmd.Wait() // its state says more
	return cmd.ProcessState.Sys().(syscall.WaitStatus).Signal()
}

// TestFirstSignalEndsACommand signals a command that waits for its standard input.
func TestFirstSignalEndsACommand(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := prepared(t, "user", "add", "alice", "--password-stdin")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		start(t, cmd)
		if _, err := io.WriteString(in, strings.Repeat("x", 1<<20)); err != nil { // more than a pipe holds: it reads
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if by := endedBy(cmd); by != sig {
			t.Errorf("%v: it ended by %v, %v", sig, by, cmd.ProcessState)
		}
	}
}

// awaitLine reads the log up to a line, and returns it.
func awaitLine(t *testing.T, log *bufio.Scanner, with string) string {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), with) {
			return log.Text()
		}
	}
	t.Fatalf("the log ends without %q", with)
	return ""
}

// serving starts a server, and returns where it listens, and the rest of its log.
func serving(t *testing.T, cmd *exec.Cmd) (address string, log *bufio.Scanner) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	log = bufio.NewScanner(stderr)
	_, address, _ = strings.Cut(awaitLine(t, log, `"msg":"serving"`), `"address":"`)
	address, _, _ = strings.Cut(address, `"`)
	return address, log
}

// TestSecondSignalEndsTheServer signals a server that finishes a request, and
// then does not wait for it.
func TestSecondSignalEndsTheServer(t *testing.T) {
	t.Parallel()
	cmd := prepared(t, "serve")
	address, log := serving(t, cmd)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the server has gone
	// The server asks for the rest where it has begun with the request.
	if _, err := io.WriteString(conn, "POST /auth/sign-in/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
		"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, log, `"msg":"stopping"`)
	ended := make(chan syscall.Signal)
	go func() { ended <- endedBy(cmd) }()
	again := time.NewTicker(10 * time.Millisecond) // the first may be just too early
	defer again.Stop()
	for {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case by := <-ended:
			if by != syscall.SIGINT {
				t.Errorf("it ended by %v, %v", by, cmd.ProcessState)
			}
			return
		case <-again.C:
		}
	}
}

// TestServerSaysThatItStops signals a server that nobody is to be sent to any more:
// it still answers, and says so.
func TestServerSaysThatItStops(t *testing.T) {
	t.Parallel()
	cmd := prepared(t, "serve")
	cmd.Env = append(cmd.Env, "GATEHOUSE_SERVER_SHUTDOWN_DELAY=1m")
	address, log := serving(t, cmd)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, log, `"msg":"stopping"`)
	for path, want := range map[string]string{"/readyz": "503 shutting_down", "/healthz": "200 ok"} {
		resp, err := http.Get("http://" + address + path) //nolint:noctx // it is there
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Status string }
		if err := errors.Join(json.NewDecoder(resp.Body).Decode(&body), resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(resp.StatusCode, " ", body.Status); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestServerEndsWhereNobodyReadsItsLog fills the pipe that the log goes to.
func TestServerEndsWhereNobodyReadsItsLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close() //nolint:errcheck // it is only read
	write, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close() //nolint:errcheck // nothing of it matters
	full, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(full) //nolint:errcheck // nothing of it matters
	cmd := prepared(t, "serve")
	cmd.Env, cmd.Stderr = append(cmd.Env, "GATEHOUSE_SERVER_SHUTDOWN_TIMEOUT=10ms"), write
	start(t, cmd)
	if err := read.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, bufio.NewScanner(read), `"msg":"serving"`)
	for err == nil {
		_, err = syscall.Write(full, []byte("x"))
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if by := endedBy(cmd); by != -1 {
		t.Errorf("it ended by %v", by)
	}
}
