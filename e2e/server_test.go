package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binaryDir holds the program under test, and goes with the tests.
var binaryDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaryDir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// binary is the program under test, built once for all tests of the package.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaryDir, "gatehouse")
	args := []string{"build", "-o", path}
	if dir := os.Getenv("GATEHOUSE_COVERDIR"); dir != "" { // the program's coverage counts too
		args = append(args, "-cover", "-coverpkg=github.com/gatehouse-auth/gatehouse/...")
	}
	build := exec.Command("go", append(args, "../cmd/gatehouse")...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return path, nil
})

// goldenSecret is the SECRET_KEY that the recordings were made with.
const goldenSecret = "peers-golden-secret-key-0123456789-abcdefghijklmnopqrstuvwxyz"

// server is a running program.
type server struct {
	url  string
	env  []string
	dir  string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan error
}

// logBuffer keeps what the program logs.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// environment is what a program under test gets beside the given settings: an
// embedded database of its own, and nothing of ours.
func environment(dir string, settings map[string]string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if dir := os.Getenv("GATEHOUSE_COVERDIR"); dir != "" {
		env = append(env, "GOCOVERDIR="+dir)
	}
	all := map[string]string{
		"GATEHOUSE_LISTEN": "127.0.0.1:0", "GATEHOUSE_SECRET": goldenSecret, "GATEHOUSE_PASSWORDS_MEMORY": "64",
		"GATEHOUSE_DATABASE_URL": "sqlite:" + filepath.Join(dir, "gatehouse.db"),
	}
	for name, value := range settings {
		all[name] = value
		if by, ok := strings.CutSuffix(name, "_FILE"); ok { // the setting itself must not be given too
			delete(all, by)
		}
	}
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env
}

// start runs the program until the test ends, and fails the test where it does
// not stop cleanly then.
func start(t *testing.T, settings map[string]string, args ...string) *server {
	t.Helper()
	return startIn(t, t.TempDir(), settings, args...)
}

func startIn(t *testing.T, dir string, settings map[string]string, args ...string) *server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{env: environment(dir, settings), dir: dir, log: &logBuffer{}, done: make(chan error, 1)}
	s.cmd = exec.Command(path, append([]string{"serve"}, args...)...)
	s.cmd.Env, s.cmd.Dir = s.env, dir
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go s.follow(stderr, address)
	t.Cleanup(func() { s.stop(t) })
	select {
	case s.url = <-address:
	case <-time.After(30 * time.Second):
		t.Fatalf("the server does not start:\n%s", s.log)
	}
	if s.url == "" {
		t.Fatalf("the server has ended:\n%s", s.log)
	}
	return s
}

// follow keeps the log, and sends the address once the log has it.
func (s *server) follow(stderr io.Reader, address chan<- string) {
	lines := bufio.NewScanner(io.TeeReader(stderr, s.log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			address <- "http://" + line.Address
		}
	}
	close(address)
	s.done <- s.cmd.Wait()
}

// stop ends the program by its process id, and waits for it.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := <-s.done; err != nil {
		t.Errorf("the server did not stop cleanly: %v\n%s", err, s.log)
	}
}

// wholeLog stops the program and returns its log: what is asked before that may
// lack the lines of a moment ago.
func (s *server) wholeLog(t *testing.T) string {
	t.Helper()
	s.stop(t)
	return s.log.String()
}

// command runs the program with other arguments on the same database.
func (s *server) command(t *testing.T, input string, args ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env, cmd.Dir, cmd.Stdin = s.env, s.dir, strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("gatehouse %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// json reads the body.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("the body is not a JSON object: %v\n%s", err, a.body)
	}
	return m
}

func (a answer) text(t *testing.T, name string) string {
	t.Helper()
	text, _ := a.json(t)[name].(string)
	return text
}

// cookie returns the value of a cookie that the answer sets.
func (a answer) cookie(name string) string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name && c.MaxAge >= 0 {
			return c.Value
		}
	}
	return ""
}

// deletes reports whether the answer deletes a cookie.
func (a answer) deletes(name string) bool {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name && c.MaxAge < 0 {
			return true
		}
	}
	return false
}

// client follows no redirect and keeps no cookie.
var client = &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// send sends a request.
func (s *server) send(t *testing.T, method, path, body string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header.Clone()
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: read}
}

// post sends JSON.
func (s *server) post(t *testing.T, path, body string) answer {
	t.Helper()
	return s.send(t, http.MethodPost, path, body, http.Header{"Content-Type": {"application/json"}})
}

// signIn signs in, and fails the test where that does not work.
func (s *server) signIn(t *testing.T, username, password string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": username, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	a := s.post(t, "/auth/sign-in/", string(body))
	if a.status != http.StatusOK {
		t.Fatalf("signing in as %s: %d %s\n%s", username, a.status, a.body, s.log)
	}
	return a
}
