package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDevelopmentServer does what the server says to do for the other commands.
func TestDevelopmentServer(t *testing.T) {
	t.Parallel()
	serve := prepared(t, "serve", "--development")
	serve.Env = append(os.Environ(), "GATEHOUSE_LISTEN=127.0.0.1:0", "GATEHOUSE_PASSWORDS_MEMORY=64")
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, serve)
	export := strings.TrimSpace(awaitLine(t, bufio.NewScanner(stdout), "export "))
	keys := exec.CommandContext(t.Context(), "sh", "-euc", export+"; gatehouse key list")
	keys.Dir = serve.Dir
	if out, err := keys.CombinedOutput(); err != nil || !strings.Contains(string(out), "\tsigning\t") {
		t.Errorf("%s: %v\n%s", export, err, out)
	}
}
