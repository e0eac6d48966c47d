package main

import (
	"strings"
	"testing"
)

// TestHealthcheckAsksNoProxy has a proxy that would say that all is well.
func TestHealthcheckAsksNoProxy(t *testing.T) {
	t.Parallel()
	cmd := prepared(t, "healthcheck")
	cmd.Env = append(cmd.Env, "GATEHOUSE_LISTEN=255.255.255.255:1", "HTTP_PROXY="+answering(t, "ready"), "http_proxy=", "NO_PROXY=", "no_proxy=")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "the server does not answer") {
		t.Errorf("%v: %s", err, out)
	}
}
