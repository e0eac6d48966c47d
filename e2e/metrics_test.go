package e2e_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMetrics reads what Prometheus would, on a listener of its own.
func TestMetrics(t *testing.T) {
	t.Parallel()
	idp := newGoldenIDP(t)
	s := start(t, idp.settings(map[string]string{"GATEHOUSE_METRICS_LISTEN": "127.0.0.1:0"}))
	s.post(t, "/auth/sign-in", `{"username":"nobody","password":"x"}`)
	if a := s.send(t, http.MethodGet, "/metrics", "", nil); a.status != http.StatusNotFound {
		t.Errorf("the metrics are public: %d", a.status)
	}
	address := metricsURL(t, s)
	body := ""
	for try := 0; try < 1000 && !strings.Contains(body, `gatehouse_idp_keys{idp="cognito"} 2`); try++ { // fetched at the start, in the background
		body = get(t, address)
	}
	for _, want := range []string{
		`gatehouse_http_requests_total{operation="POST /auth/sign-in",status="401"} 1`, `gatehouse_http_requests_total{operation="",status="404"} 1`,
		`gatehouse_http_request_duration_seconds_count{operation="POST /auth/sign-in"} 1`, `gatehouse_swept_rows_total{table="sessions"} 0`,
		`gatehouse_password_hashes_running 0`, `gatehouse_idp_keys{idp="cognito"} 2`, `gatehouse_idp_keys_ignored{idp="cognito"} 0`,
		`gatehouse_idp_keys_fetched_timestamp_seconds{idp="cognito"} 1.7`, `gatehouse_idp_metadata_fetches_total{idp="cognito"} 0`, "go_goroutines", "process_resident_memory_bytes",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// metricsURL is where the log says that the metrics are.
func metricsURL(t *testing.T, s *server) string {
	t.Helper()
	line := regexp.MustCompile(`"metrics_address":"([^"]+)"`)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if found := line.FindStringSubmatch(s.log.String()); found != nil {
			return "http://" + found[1] + "/metrics"
		}
	}
	t.Fatalf("the log names no listener:\n%s", s.log)
	return ""
}

// get reads a page.
func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
