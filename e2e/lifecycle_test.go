package e2e_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestShutdownFinishesWhatIsInFlight tells the server to stop while it hashes a
// password: the answer still comes, and the program ends without an error.
func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{
		"GATEHOUSE_PASSWORDS_MEMORY": "131072", "GATEHOUSE_PASSWORDS_TIME": "8", "GATEHOUSE_METRICS_LISTEN": "127.0.0.1:0",
	})
	answered := make(chan answer, 1)
	go func() { answered <- s.post(t, "/auth/sign-in/", `{"username":"nobody","password":"x"}`) }()
	for !strings.Contains(get(t, metricsURL(t, s)), "gatehouse_password_hashes_running 1") {
		select {
		case a := <-answered:
			t.Fatalf("it was answered too soon to show anything: %d", a.status)
		default:
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a.status != http.StatusUnauthorized {
		t.Errorf("a request in flight is answered %d: %s", a.status, a.body)
	}
	if err := <-s.done; err != nil {
		t.Errorf("the program ends with %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		t.Error("it still listens")
	}
	for _, line := range []string{`"msg":"stopping"`, `"msg":"stopped"`} {
		if !strings.Contains(s.log.String(), line) {
			t.Errorf("the log lacks %s", line)
		}
	}
}

// TestSlowClients sends a header, and a body, that never end: the connection is
// closed, and the others are served.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"GATEHOUSE_SERVER_READ_TIMEOUT": "200ms", "GATEHOUSE_SERVER_IDLE_TIMEOUT": "200ms"})
	for name, sent := range map[string]string{
		"nothing": "", "half a header": "POST /auth/sign-in/ HTTP/1.1\r\nHost: x\r\nContent-Ty",
		"half a body": "POST /auth/sign-in/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"username\":",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
		if strings.HasPrefix(string(reply), "HTTP/1.1 5") {
			t.Errorf("%s: a client's fault is answered %.60q", name, reply)
		}
		_ = conn.Close()
	}
	endless := http.Header{"X-Endless": {strings.Repeat("a", 64<<10)}}
	if a := s.send(t, http.MethodGet, "/healthz", "", endless); a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("an endless header is answered %d", a.status)
	}
	if a := s.send(t, http.MethodGet, "/healthz", "", nil); a.status != http.StatusOK {
		t.Errorf("others are answered %d", a.status)
	}
}
