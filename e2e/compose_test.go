package e2e_test

import (
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/lib/pq"
	"go.yaml.in/yaml/v3"
)

// composeFile is what these tests read of deploy/compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Secrets     []string
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	}
	Secrets map[string]struct{ File string }
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	content, err := os.ReadFile("../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal(content, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeFileNamesWhatItDeclares(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	for name, service := range c.Services {
		for _, secret := range service.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s: secret %s is not declared", name, secret)
			}
		}
		for other := range service.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
		for variable, value := range service.Environment {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok && !slices.Contains(service.Secrets, secret) {
				t.Errorf("%s: %s names the secret %s, which the service does not get", name, variable, secret)
			}
		}
	}
}

// The settings and the commands of the compose file, in its order, on a real
// PostgreSQL: the schema first, then the server.
func TestComposeFileOnPostgres(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	secrets := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", rand.Text()+rand.Text()+"\n")
	write("database_url", newDatabase(t))
	settings := func(service string) map[string]string {
		env := map[string]string{}
		for name, value := range c.Services[service].Environment {
			env[name] = strings.Replace(value, "/run/secrets", secrets, 1)
		}
		return env
	}

	dir := t.TempDir()
	migrate := &server{env: environment(dir, settings("migrate")), dir: dir}
	migrate.command(t, "", c.Services["migrate"].Command...)

	env := settings("gatehouse")
	env["GATEHOUSE_LISTEN"] = "127.0.0.1:0"
	if command := c.Services["gatehouse"].Command; !slices.Equal(command, []string{"serve"}) {
		t.Fatalf("this test runs `serve`, not %v", command)
	}
	s := startIn(t, dir, env)
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	s.signIn(t, "alice", "correct horse battery")
}

// newDatabase makes an empty database and returns its DSN.
func newDatabase(t *testing.T) string {
	t.Helper()
	dsn := os.Getenv("GATEHOUSE_TEST_POSTGRES")
	if dsn == "" {
		t.Fatal("GATEHOUSE_TEST_POSTGRES names no server: run `make test-e2e`")
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := "e2e_" + strings.ToLower(rand.Text())
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		_ = db.Close()
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
