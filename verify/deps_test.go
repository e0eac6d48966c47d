package verify_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDependencies lists what a service takes in that imports this package: of
// ours two leaves, and of others one module.
func TestDependencies(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}}{{end}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"github.com/gatehouse-auth/gatehouse/internal/jwks", "github.com/gatehouse-auth/gatehouse/internal/jws",
		"github.com/gatehouse-auth/gatehouse/verify", "github.com/golang-jwt/jwt/v5",
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("it depends on %q, want %q", got, want)
	}
}
