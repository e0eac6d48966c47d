package e2e_test

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// cluster is a PostgreSQL of a test's own, which it may kill.
type cluster struct {
	dir, port string
	cmd       *exec.Cmd
}

// newCluster makes and starts one, with fsync on.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "gatehouse-cluster-")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{dir: dir, port: freePort(t)}
	t.Cleanup(func() {
		c.kill(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if owner := serverUser(); owner != nil {
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := c.program("initdb", "-D", c.data(), "-U", "gatehouse", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	c.start(t)
	return c
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *cluster) dsn() string {
	return "postgres://gatehouse@127.0.0.1:" + c.port + "/postgres?sslmode=disable"
}

// serverUser is who PostgreSQL runs as where this runs as root; nil: as this.
func serverUser() *user.User {
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return u
		}
	}
	return nil
}

// program is one of PostgreSQL's, to be run as its user.
func (c *cluster) program(name string, args ...string) *exec.Cmd {
	path, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		slices.Sort(found)
		if len(found) > 0 {
			path = found[len(found)-1]
		}
	}
	command := append([]string{path}, args...)
	if owner := serverUser(); owner != nil {
		command = append([]string{"setpriv", "--reuid", owner.Uid, "--regid", owner.Gid, "--clear-groups"}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = c.dir
	return cmd
}

// start starts the server and waits until it answers. Right after a kill, what is
// left of the former one may still hold its memory.
func (c *cluster) start(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		var log bytes.Buffer
		c.cmd = c.program("postgres", "-D", c.data(), "-c", "listen_addresses=127.0.0.1", "-c", "port="+c.port,
			"-c", "unix_socket_directories="+c.dir, "-c", "max_connections=100", "-c", "fsync=on")
		c.cmd.Stderr = &log
		if err := c.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(c.cmd)
		if c.answers(ended, deadline) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("PostgreSQL does not start:\n%s", log.String())
		}
	}
}

// answers waits until the server answers, or has ended.
func (c *cluster) answers(ended chan error, deadline time.Time) bool {
	db, err := sql.Open("postgres", c.dsn())
	if err != nil {
		return false
	}
	defer db.Close() //nolint:errcheck // it has answered
	for time.Now().Before(deadline) {
		select {
		case <-ended:
			return false
		default:
		}
		if db.Ping() == nil {
			return true
		}
	}
	return false
}

// kill ends the server as a power cut would, as far as one can without one.
func (c *cluster) kill(t *testing.T) {
	t.Helper()
	if c.cmd == nil || c.cmd.Process == nil {
		return // it was never started
	}
	if err := c.cmd.Process.Kill(); err != nil && err != os.ErrProcessDone { //nolint:errorlint // as documented
		t.Error(err)
	}
}
