package e2e_test

import (
	"os"
	"os/exec"
	"testing"
)

func TestTypeScriptSDKSignsInAndRefreshes(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../sdk/typescript/dist/index.js"); err != nil {
		t.Fatalf("the SDK is not built: run `make sdk`: %v", err)
	}
	s := start(t, nil)
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	cmd := exec.CommandContext(t.Context(), node(t), "test/live.mjs")
	cmd.Dir = "../sdk/typescript"
	cmd.Env = append(os.Environ(), "GATEHOUSE_URL="+s.url, "GATEHOUSE_USERNAME=alice", "GATEHOUSE_PASSWORD=correct horse battery")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, s.log)
	}
}
