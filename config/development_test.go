package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-auth/gatehouse/config"
)

func TestDevelopmentIssuer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file    string
		environ []string
		want    string
	}{
		"nothing is given":           {"", nil, "http://localhost:8080"},
		"another port":               {"listen: 127.0.0.1:18482", nil, "http://localhost:18482"},
		"another port of a variable": {"", []string{"GATEHOUSE_LISTEN=[::1]:18482"}, "http://localhost:18482"},
		"whichever port is free":     {"listen: 127.0.0.1:0", nil, "http://localhost:8080"},
		"no address":                 {"listen: x", nil, "http://localhost:8080"},
		"the file has one":           {"{listen: 127.0.0.1:1, issuer: http://localhost:8080}", nil, "http://localhost:8080"},
		"a variable has one":         {"listen: 127.0.0.1:1", []string{"GATEHOUSE_ISSUER=https://auth.example.test"}, "https://auth.example.test"},
	} {
		got, err := config.Load(config.LoadOptions{Path: write(t, tc.file), Environ: tc.environ, Development: true})
		if err != nil || got.Issuer != tc.want {
			t.Errorf("%s: %q, %v, want %q", name, got.Issuer, err, tc.want)
		}
	}
}

func TestDevelopmentSecret(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "gatehouse.db")
	first, created, err := config.EnsureDevelopmentSecret(database)
	if err != nil || !created || len(first) < 32 {
		t.Fatalf("made %d bytes, %t, %v", len(first), created, err)
	}
	info, err := os.Stat(database + ".secret")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	again, created, err := config.EnsureDevelopmentSecret(database)
	if err != nil || created || again != first {
		t.Errorf("the second time: the same %t, created %t, %v", again == first, created, err)
	}
	if err := os.Chmod(database+".secret", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.EnsureDevelopmentSecret(database); err == nil || strings.Contains(err.Error(), first) {
		t.Errorf("a secret that others can read: %v", err)
	}
	cut := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.WriteFile(cut+".secret", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.EnsureDevelopmentSecret(cut); err == nil {
		t.Error("an empty file is taken for a secret")
	}
	if _, _, err := config.EnsureDevelopmentSecret("/nonexistent/gatehouse.db"); err == nil {
		t.Error("a folder that is not there is taken")
	}
}
