package main

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestDevelopmentServer does what the server says to do for the other commands.
func TestDevelopmentServer(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().(*net.TCPAddr)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	serve := prepared(t, "serve", "--development")
	serve.Env = append(environ(), "GATEHOUSE_LISTEN="+address.String(), "GATEHOUSE_PASSWORDS_MEMORY=64")
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, serve)
	export := strings.TrimSpace(awaitLine(t, bufio.NewScanner(stdout), "export "))
	keys := exec.CommandContext(t.Context(), "sh", "-euc", export+"; gatehouse key list; echo $GATEHOUSE_ISSUER")
	keys.Dir, keys.Env = serve.Dir, environ()
	out, err := keys.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "\tsigning\t") || !strings.HasSuffix(string(out), fmt.Sprintf("\nhttp://localhost:%d\n", address.Port)) {
		t.Errorf("%s: %v\n%s", export, err, out)
	}
}
