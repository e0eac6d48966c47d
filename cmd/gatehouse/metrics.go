package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics is what the program counts, for Prometheus.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gatehouse_http_requests_total", Help: "Requests answered, by operation and status (499: the client went away).",
		}, []string{"operation", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gatehouse_http_request_duration_seconds", Help: "How long answers took, by operation.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"operation"}),
	}
	m.registry.MustRegister(m.requests, m.took, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe is what the HTTP service reports each answer to.
func (m *metrics) observe(operation string, status int, took time.Duration) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(operation).Observe(took.Seconds())
}

// watch adds what the parts of the service count themselves.
func (m *metrics) watch(svc *service) {
	counter := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	gauge := func(name, help string, labels prometheus.Labels, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
	}
	const swept = "gatehouse_swept_rows_total"
	counter(swept, "Rows that the sweeper removed.", prometheus.Labels{"table": "sessions"}, func() float64 { return float64(svc.sweeper.Counts().Sessions) })
	counter(swept, "Rows that the sweeper removed.", prometheus.Labels{"table": "exchanges"}, func() float64 { return float64(svc.sweeper.Counts().Exchanges) })
	counter(swept, "Rows that the sweeper removed.", prometheus.Labels{"table": "throttle"}, func() float64 { return float64(svc.sweeper.Counts().Throttle) })
	counter(swept, "Rows that the sweeper removed.", prometheus.Labels{"table": "cutoffs"}, func() float64 { return float64(svc.sweeper.Counts().Cutoffs) })
	for i, source := range svc.claims.Sources() {
		labels := prometheus.Labels{"source": source.Name}
		counter("gatehouse_claims_asked_total", "Requests for claims, by where they go.", labels, func() float64 { return float64(svc.claims.Sources()[i].Asked) })
		counter("gatehouse_claims_failed_total", "Those that failed.", labels, func() float64 { return float64(svc.claims.Sources()[i].Failed) })
	}
	gauge("gatehouse_password_hashes_running", "Passwords that are being hashed.", nil, func() float64 { return float64(svc.hasher.Stats().Running) })
	gauge("gatehouse_password_hashes_waiting", "Passwords that wait to be hashed.", nil, func() float64 { return float64(svc.hasher.Stats().Waiting) })
	for _, v := range svc.verifiers {
		idp := prometheus.Labels{"idp": v.Name()}
		counter("gatehouse_idp_key_fetches_total", "Fetches of an identity provider's keys.", idp, func() float64 { return float64(v.Stats().Fetches) })
		counter("gatehouse_idp_key_fetch_failures_total", "Those that failed.", idp, func() float64 { return float64(v.Stats().Failures) })
		counter("gatehouse_idp_unknown_keys_total", "Tokens that named a key that the provider does not have.", idp, func() float64 { return float64(v.Stats().UnknownKeys) })
		counter("gatehouse_idp_metadata_fetches_total", "Fetches of an OpenID provider's metadata.", idp, func() float64 { return float64(v.Stats().MetadataFetches) })
		counter("gatehouse_idp_metadata_fetch_failures_total", "Those that failed.", idp, func() float64 { return float64(v.Stats().MetadataFailures) })
		gauge("gatehouse_idp_keys", "Keys of an identity provider that are known.", idp, func() float64 { return float64(v.Stats().Keys) })
		gauge("gatehouse_idp_keys_ignored", "Keys that an identity provider publishes and that can't be used.", idp, func() float64 { return float64(v.Stats().Ignored) })
		gauge("gatehouse_idp_keys_fetched_timestamp_seconds", "When the oldest key set that is in use was fetched; 0: never.", idp, func() float64 {
			if at := v.Stats().FetchedAt; !at.IsZero() {
				return float64(at.Unix())
			}
			return 0
		})
	}
}

// serve publishes the metrics on a listener of their own until the context ends.
func (m *metrics) serve(ctx context.Context, cfg config.Config, logger *slog.Logger) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.MetricsListen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", cfg.MetricsListen, err)
	}
	logger.Info("serving metrics", "metrics_address", listener.Addr().String())
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return listenUntil(ctx, cfg, listener, mux, func() {}, logger)
}
