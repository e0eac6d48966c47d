package e2e_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// readmeLines returns the shell lines of the README's first sign-in.
func readmeLines(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n## A first sign-in\n")
	if !found {
		t.Fatal("the README has no first sign-in")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var lines strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		lines.WriteString(block[1])
	}
	return lines.String()
}

// What `make run` does, what it prints, and what the README then says to type.
// scripts/clean-machine.sh does the same word for word, on the port that the
// README names; here it is whichever is free.
func TestDevelopmentServerAndTheREADME(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GATEHOUSE_LISTEN=127.0.0.1:0", "GATEHOUSE_ISSUER=http://localhost:8080"}
	if cover := os.Getenv("GATEHOUSE_COVERDIR"); cover != "" {
		environ = append(environ, "GOCOVERDIR="+cover)
	}
	serve := exec.Command(path, "serve", "--development")
	serve.Dir, serve.Env = dir, environ
	printed := program(t, serve, regexp.MustCompile(`^ *(-d '\{"username": "admin", .*)$`))
	m := regexp.MustCompile(`"password": "([^"]+)"\}' http://localhost:([0-9]+)/auth/sign-in/$`).FindStringSubmatch(printed)
	if m == nil {
		t.Fatalf("it prints no line to sign in with: %s", printed)
	}
	password, port := m[1], m[2]

	sh := func(t *testing.T, lines string) string {
		t.Helper()
		// An answer that is an error fails the line; the lines stay as they are.
		cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", "curl() { command curl --fail \"$@\"; }\n"+lines)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, lines, out)
		}
		return string(out)
	}
	t.Run("the line that it prints signs in", func(t *testing.T) {
		out := sh(t, "curl -s -H 'Content-Type: application/json' "+printed)
		if !strings.Contains(out, `"access_token"`) {
			t.Errorf("it answers %s", out)
		}
	})
	t.Run("the README's lines work", func(t *testing.T) {
		lines := readmeLines(t)
		if !strings.Contains(lines, "password=...\n") || !strings.Contains(lines, "/auth/logoff/") {
			t.Fatalf("the README does not lead from the password to the logoff:\n%s", lines)
		}
		lines = strings.Replace(lines, "password=...\n", "password="+password+"\n", 1)
		sh(t, strings.ReplaceAll(lines, "http://localhost:8080", "http://localhost:"+port))
	})
	t.Run("the health check finds it ready", func(t *testing.T) {
		check := exec.CommandContext(t.Context(), path, "healthcheck")
		check.Dir, check.Env = dir, append(environ, "GATEHOUSE_LISTEN=127.0.0.1:"+port)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("the secret that it made is its owner's alone", func(t *testing.T) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".secret") {
				continue
			}
			found = true
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
			}
		}
		if !found {
			t.Errorf("no secret among %v", entries)
		}
	})
}
