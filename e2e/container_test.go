package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// podman keeps images and containers in a directory of its own, so that nothing
// of the machine's is used or changed.
type podman struct{ dir string }

func newPodman(t *testing.T) podman {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "gatehouse-podman-") // not TMPDIR: podman wants a short path
	if err != nil {
		t.Fatal(err)
	}
	p := podman{dir: dir}
	t.Cleanup(func() {
		if out, err := p.command("rm", "--all", "--force", "--time=0").CombinedOutput(); err != nil {
			t.Errorf("removing containers: %v\n%s", err, out)
		}
		if out, err := p.command("network", "rm", "--force", network).CombinedOutput(); err != nil {
			t.Errorf("removing the network: %v\n%s", err, out)
		}
		_ = os.RemoveAll("/var/lib/cni/networks/" + network) // the addresses it gave out
		// A directory that is still mounted below must not be emptied with the rest.
		mounts, err := os.ReadFile("/proc/self/mounts")
		if err != nil || bytes.Contains(mounts, []byte(dir)) {
			t.Errorf("%s is still mounted, and stays: %v\n%s", dir, err, mounts)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p.run(t, "", "network", "create", "--disable-dns", network)
	return p
}

// network is one that goes with the test; podman's own would stay.
const network = "gatehouse-e2e"

// command prepares podman such that it works without systemd and inside of
// another container too.
func (p podman) command(args ...string) *exec.Cmd {
	return exec.Command("podman", append([]string{
		"--root=" + filepath.Join(p.dir, "root"), "--runroot=" + filepath.Join(p.dir, "run"), "--storage-driver=vfs",
		"--cgroup-manager=cgroupfs", "--events-backend=file", "--runtime=runc",
		"--network-config-dir=" + filepath.Join(p.dir, "net"),
	}, args...)...)
}

// run runs a command to its end and returns its output, without errors' lines
// about systemd, which plays no part here.
func (p podman) run(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := p.command(args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(input), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("podman %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// goEnv reads a setting of the Go toolchain.
func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// makeBase stands in for the official image of the Go toolchain, which not every
// machine can reach: Debian, and the toolchain that runs this test.
func (p podman) makeBase(t *testing.T) {
	t.Helper()
	tarball := filepath.Join(p.dir, "base.tar")
	args := []string{"--quiet", "--variant=minbase", "--include=ca-certificates", "bookworm", tarball}
	for _, sources := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if _, err := os.Stat(sources); err == nil {
			args = append(args, sources)
			break
		}
	}
	if out, err := exec.CommandContext(t.Context(), "mmdebstrap", args...).CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v; `make deps` installs what these tests need\n%s", err, out)
	}
	p.run(t, "", "import", "--quiet", "--change=ENV GOPATH=/go",
		"--change=ENV PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin", tarball, "docker.io/library/golang:1.26-bookworm")
}

// build builds deploy/Dockerfile as it is, with this machine's module cache.
func (p podman) build(t *testing.T) {
	t.Helper()
	p.makeBase(t)
	p.run(t, "", "build", "--quiet", "--pull=never", "--layers=false", "--isolation=chroot", "--format=docker",
		"--volume="+goEnv(t, "GOROOT")+":/usr/local/go:ro",
		"--volume="+goEnv(t, "GOMODCACHE")+":/go/pkg/mod",
		"--volume="+goEnv(t, "GOCACHE")+":/root/.cache/go-build",
		"--volume=/etc/ssl/certs:/etc/ssl/certs:ro",
		"--build-arg=GOPROXY="+goEnv(t, "GOPROXY"), "--build-arg=GOSUMDB="+goEnv(t, "GOSUMDB"),
		"--build-arg=VERSION=v0.0.0-test", "--file=../deploy/Dockerfile", "--tag=gatehouse", "..")
}

func TestContainer(t *testing.T) {
	t.Parallel()
	p := newPodman(t)
	p.build(t)

	t.Run("the image is small, and nobody runs it", func(t *testing.T) {
		if user := p.run(t, "", "image", "inspect", "--format={{.Config.User}}", "gatehouse"); user != "65532:65532" {
			t.Errorf("it runs as %q", user)
		}
		if version := p.run(t, "", "run", "--rm", "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "gatehouse", "version"); version != "v0.0.0-test" {
			t.Errorf("it says that it is version %q", version)
		}
	})

	// With nothing that it does not need: no writable root, no capability.
	p.run(t, "", "run", "--detach", "--name=gatehouse", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all",
		"--security-opt=no-new-privileges", "--memory=256m", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
		"--volume=gatehouse-data:/data", "--network="+network, "--publish=127.0.0.1::8080", "--env=GATEHOUSE_SECRET="+goldenSecret, "gatehouse")
	s := &server{url: "http://" + p.run(t, "", "port", "gatehouse", "8080/tcp"), log: &logBuffer{}}
	p.waitUntilReady(t, s)

	p.run(t, "correct horse battery\n", "exec", "--interactive", "gatehouse", "/gatehouse", "user", "add", "alice", "--password-stdin")
	s.signIn(t, "alice", "correct horse battery")
	p.run(t, "", "healthcheck", "run", "gatehouse")

	p.run(t, "", "stop", "--time=30", "gatehouse")
	if code := p.run(t, "", "inspect", "--format={{.State.ExitCode}}", "gatehouse"); code != "0" {
		t.Errorf("told to stop, it exits with %s\n%s", code, p.run(t, "", "logs", "gatehouse"))
	}
}

// waitUntilReady asks until the container serves, or has ended.
func (p podman) waitUntilReady(t *testing.T, s *server) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close() //nolint:errcheck // only the status counts
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
	}
	out, err := p.command("logs", "gatehouse").CombinedOutput()
	t.Fatalf("it does not get ready: %v\n%s", err, out)
}
