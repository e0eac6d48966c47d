package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTheLoadStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"192.0.2.1:80", "example.com:80", "[2001:db8::1]:80", "localhost:80", "127.0.0.1", ""} {
		if _, err := load(context.Background(), address, []worker{&fixed{}}, time.Second); !errors.Is(err, errNotLoopback) {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:80", "[::1]:80"} {
		if err := checkLoopback(address); err != nil {
			t.Error(err)
		}
	}
	if _, err := load(context.Background(), "127.0.0.1:1", make([]worker, maxClients+1), time.Second); err == nil {
		t.Error("any number of clients is taken")
	}
}

func TestHistogramKeepsQuantiles(t *testing.T) {
	t.Parallel()
	var h, other histogram
	for i := range 10_000 {
		into := &h
		if i%2 == 0 {
			into = &other
		}
		into.add(time.Duration(i+1) * time.Microsecond)
	}
	h.merge(&other)
	for q, want := range map[float64]time.Duration{0: time.Microsecond, .5: 5 * time.Millisecond, .99: 9900 * time.Microsecond, 1: 10 * time.Millisecond} {
		if got := h.quantile(q); got < want || got > want+want/32 {
			t.Errorf("quantile %v: %v, want %v and hardly more", q, got, want)
		}
	}
	for v := uint64(1); v < 1<<40; v = v*3/2 + 1 {
		if b := bucketOf(v); upperEdge(b) < time.Duration(v) || b > 0 && upperEdge(b-1) >= time.Duration(v) {
			t.Errorf("%d is not in bucket %d", v, b)
		}
	}
}

func TestRepliesAreRead(t *testing.T) {
	t.Parallel()
	two := "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nContent-Length: 5\r\n\r\nhello" +
		"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
	from := bufio.NewReader(strings.NewReader(two))
	var r reply
	if err := r.read(from); err != nil || r.status != 200 || string(r.body) != "hello" {
		t.Fatalf("%v %+v", err, r)
	}
	if v, ok := r.cookieValue("b"); !ok || v != "2" {
		t.Error(v, ok)
	}
	if err := r.read(from); err != nil || r.status != 401 || string(r.body) != "abcde" || len(r.cookies) != 0 {
		t.Fatalf("%v %+v", err, r)
	}
	if err := r.read(from); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestLimitScriptIsTheStatement(t *testing.T) {
	t.Parallel()
	got := limitScript("UPDATE sessions s\n\tSET idle = LEAST($4::timestamptz, s.e), r = $3 WHERE s.id = $1 AND g = $2 AND $3 < x AND y = '$10'")
	want := "UPDATE sessions s SET idle = LEAST((now() + interval '24 hours')::timestamptz, s.e), r = now() WHERE s.id = ('" + sessionIs +
		"' || :id::text) AND g = :generation AND now() < x AND y = '$10';\n"
	if !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end\n%s", got, want)
	}
}

func TestWrkIsRead(t *testing.T) {
	t.Parallel()
	out := `  16 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.87ms    1.08ms  18.02ms   77.23%
  Latency Distribution
     50%  980.00us
     75%    3.37ms
     90%    4.23ms
     99%    6.86ms
  9531 requests in 1.10s, 15.50MB read
Requests/sec:   8664.10
Transfer/sec:     14.09MB
refused: 0
`
	got, err := readWrk(out)
	if want := (measure{Requests: 9531, Rate: 8664.1, P50: 980, P99: 6860}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, bad := range []string{
		"", strings.Replace(out, "refused: 0", "refused: 10", 1), strings.Replace(out, "Requests/sec", "  Socket errors: connect 0, read 1\nRequests/sec", 1),
		strings.Replace(out, "6.86ms", "1.2.3ms", 1), strings.Replace(out, "     50%", "     51%", 1),
	} {
		if m, err := readWrk(bad); err == nil {
			t.Errorf("%+v from\n%s", m, bad)
		}
	}
}

func TestProxyCountsStatementsAndRoundTrips(t *testing.T) {
	t.Parallel()
	message := func(kind byte, body string) string {
		n := len(body) + 4
		return string([]byte{kind, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + body
	}
	session := "\x00\x00\x00\x08\x00\x03\x00\x00" +
		message('P', "one\x00SELECT 1\x00\x00\x00") + message('S', "") +
		message('B', "\x00one\x00") + message('E', "\x00\x00\x00\x00\x00") + message('S', "") +
		message('P', "two\x00DELETE FROM x FOR UPDATE SKIP LOCKED\x00\x00\x00") + message('S', "") +
		message('B', "\x00two\x00") + message('E', "\x00\x00\x00\x00\x00") + message('S', "") +
		message('Q', "BEGIN\x00")
	p := &countingProxy{texts: map[string]bool{}}
	var through bytes.Buffer
	p.follow(bufio.NewReader(strings.NewReader(session)), &through)
	if through.String() != session {
		t.Error("the messages were changed")
	}
	if got := p.now(); got != (traffic{Statements: 2, RoundTrips: 3}) {
		t.Errorf("%+v", got)
	}
	if p.text("SELECT") != "SELECT 1" {
		t.Error("the text is not kept")
	}
}

func TestReportTakesMediansAndJudges(t *testing.T) {
	t.Parallel()
	r := report{Traffic: map[string]perRequest{"refresh": {1, 1}}, Bare: map[string][]float64{}, Program: map[string]float64{"binary, MB": 30}}
	for i, rate := range []float64{900, 1000, 1100} {
		r.add(key{"refresh", "postgres", 16}, measure{Rate: rate, P50: 1, P99: float64(4 + i)})
		r.add(key{"refresh, by wrk", "postgres", 16}, measure{Rate: rate / 2})
		r.add(key{"refresh", "limit", 16}, measure{Rate: 1500})
		r.add(key{"refresh", "plain", 16}, measure{Rate: 2000})
		r.add(key{"sign-in", "postgres", 16}, measure{Rate: rate, Bare: 1020})
		r.add(key{"sign-in", "sqlite", 16}, measure{Rate: rate, Bare: 1100})
		r.add(key{"refresh", "peer", 16}, measure{Rate: 300})
	}
	if c := r.cell(key{"refresh", "postgres", 16}); c.Median.Rate != 1000 || c.Spread != .2 {
		t.Errorf("%+v", c)
	}
	r.judge([]int{16})
	verdicts := map[string]bool{}
	for _, v := range r.Targets {
		verdicts[v.Name] = v.Pass
	}
	for name, want := range map[string]bool{
		"refresh / pgbench with its statement, 16 clients": true, "refresh, by wrk / pgbench with its statement, 16 clients": false,
		"refresh p99 / p50, 16 clients": true, "sign-in / bare argon2id, postgres, 16 clients": true, "sign-in / bare argon2id, sqlite, 16 clients": false,
		"refresh / Django peer, each at its best": false, "refresh, SQL statements": true, "binary, MB": false,
	} {
		if got, there := verdicts[name]; got != want || !there {
			t.Errorf("%s: %v, %v", name, got, there)
		}
	}
	if err := xml.Unmarshal([]byte(r.chart()), new(struct{ XMLName xml.Name })); err != nil {
		t.Errorf("the chart: %v", err)
	}
	for _, want := range []string{
		"| refresh | postgres | 16 | 1000 | 20 % |", "| refresh / net/http and lib/pq alone, 16 clients |  | 0.5 | 0.45, 0.5, 0.55 |  |",
	} {
		if !strings.Contains(r.table(), want) {
			t.Errorf("no %q in\n%s", want, r.table())
		}
	}
}

func TestWhatIsJudgedByThePeerTakesTurnsWithIt(t *testing.T) {
	t.Parallel()
	r := report{Bare: map[string][]float64{}}
	for _, s := range scenarios() {
		for _, engine := range []string{"postgres", "peer"} {
			r.add(key{s.name, engine, 1}, measure{Rate: 1, P50: 1})
		}
	}
	r.judge([]int{1})
	judged := 0
	for _, v := range r.Targets {
		scenario, ok := strings.CutSuffix(v.Name, " / Django peer, each at its best")
		if !ok {
			continue
		}
		if judged++; !slices.Contains(compared, scenario) {
			t.Errorf("%s is judged by the peer, and takes no turns with it", scenario)
		}
	}
	if judged == 0 {
		t.Error("nothing is judged by the peer")
	}
	p := &peer{refresh: make([]string, 100)}
	for _, scenario := range []string{"verify", "verify, first time"} {
		workers, err := p.workers(t.Context(), scenario, 2)
		if err != nil || !strings.HasPrefix(string(workers[1].next()), "POST /verify/ HTTP/1.1\r\n") {
			t.Errorf("%s by the peer: %v", scenario, err)
		}
	}
}

func TestTokensAreForTheFirstTimeFromTurnToTurn(t *testing.T) {
	t.Parallel()
	tokens, presented := strings.Split("abcdefghij", ""), new(atomic.Uint64)
	times := map[string]int{}
	for _, clients := range []int{1, 3, 2} { // turns, of which the last comes round
		for range 5 / clients {
			for _, w := range firstVerifiers(tokens, presented, clients) {
				times[string(w.next())]++
			}
		}
	}
	if len(times) != len(tokens) {
		t.Errorf("%d of %d tokens were presented before one came again", len(times), len(tokens))
	}
}

func TestThePeerLeavesNoConnections(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{db: db}
	if err := errors.Join(p.stop(), db.PingContext(t.Context())); err != nil {
		t.Errorf("the database is needed when another configuration is tried: %v", err)
	}
	if err := p.close(); err != nil {
		t.Error(err)
	}
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("the database is open yet")
	}
}

func TestGrowthTellsRatesAndCPU(t *testing.T) {
	t.Parallel()
	var r report
	for i, rate := range []float64{900, 1000, 1100} {
		r.add(key{"refresh", "10", 16}, measure{Rate: 1000, DatabaseCPU: float64(70 + i)})
		r.add(key{"refresh", "1000", 16}, measure{Rate: rate, DatabaseCPU: float64(90 + i)})
	}
	want := "Refresh, 16 clients: 1000/s with 1000 sessions, 1000/s with 10; ratio 1.000 (rounds: 0.9, 1, 1.1; wanted: 0.9). Postgres' CPU for a refresh: 91 µs and 71 µs."
	if got := r.scaling("10", "1000"); got != want {
		t.Errorf("got %s", got)
	}
}
