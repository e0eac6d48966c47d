package e2e_test

import (
	"database/sql"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

// doctor runs `gatehouse doctor`, and says whether it found all well.
func doctor(t *testing.T, dir string, settings map[string]string, args ...string) (report string, well bool) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"doctor"}, args...)...)
	cmd.Env, cmd.Dir = environment(dir, settings), dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestDoctorAndPostgres walks a database through the states that doctor tells
// apart.
func TestDoctorAndPostgres(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	port := freePort(t)
	settings := map[string]string{
		"GATEHOUSE_DATABASE_URL": dsn, "GATEHOUSE_LISTEN": "127.0.0.1:" + port, "GATEHOUSE_ISSUER": "http://127.0.0.1:" + port,
	}
	wants := func(state string, well bool, lines ...string) {
		t.Helper()
		report, good := doctor(t, t.TempDir(), settings, "--issuer")
		for _, line := range lines {
			if !strings.Contains(report, "\n"+line) {
				t.Errorf("%s: no line %q in\n%s", state, line, report)
			}
		}
		if good != well || strings.Contains(report, "hunter2") {
			t.Errorf("%s: well %t\n%s", state, good, report)
		}
	}
	wants("an empty database", false, "failed      database: ", "not reached database: writing", "not reached signing keys", "failed      issuer: ")
	start(t, settings, "--migrate")
	wants("a server that runs", true, "ok          database: it answers", "ok          signing keys: ES256: one signs now",
		"ok          issuer: "+settings["GATEHOUSE_ISSUER"]+"/.well-known/jwks.json has 1 keys, and those that sign (1) among them")
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // the test is over
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `ALTER DATABASE "`+strings.TrimPrefix(u.Path, "/")+`" SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	wants("a standby", false, "ok          database: it answers", "failed      database: writing: ", "ok          signing keys")
	u.User, u.Host = url.UserPassword("gatehouse", "hunter2"), "127.0.0.1:1"
	settings["GATEHOUSE_DATABASE_URL"] = u.String()
	wants("a database that is away", false, "failed      database: ")
}
