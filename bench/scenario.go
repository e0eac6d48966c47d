package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	refreshCookie = "refresh_cookie"
	// The shares of the seeded sessions, in hundredths, that each scenario has for itself.
	limitFrom, refreshFrom, graceFrom, refusedFrom, logoffFrom = 0, 30, 60, 62, 64
)

// scenario is one kind of request. prepare makes its workers; it may write to
// the database, and is not measured.
type scenario struct {
	name    string
	prepare func(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error)
}

// scenarios in the order of the table.
func scenarios() []scenario {
	return []scenario{
		{"refresh", prepareRefresh},
		{"refresh, in grace", prepareGrace},
		{"refresh, refused", prepareRefused},
		{"verify", prepareVerify},
		{"verify, first time", prepareVerifyFirst},
		{"introspect", prepareIntrospect},
		{"social-exchange", prepareExchange},
		{"logoff", prepareLogoff},
		{"jwks", prepareJWKS},
		{"sign-in", prepareSignIn},
	}
}

// fixed sends the same requests round and round, and wants one status.
type fixed struct {
	requests [][]byte
	at       int
	want     int
	once     bool // each request once
}

func (f *fixed) next() []byte {
	if f.at == len(f.requests) {
		if f.once {
			return nil
		}
		f.at = 0
	}
	f.at++
	return f.requests[f.at-1]
}

func (f *fixed) took(r *reply) error {
	if r.status != f.want {
		return r.unexpected("wanted " + fmt.Sprint(f.want))
	}
	return nil
}

// spread gives each of the clients its part of n requests, which make makes.
func spread(clients, n int, want int, once bool, request func(i int) ([]byte, error)) ([]worker, error) {
	if n < clients {
		return nil, fmt.Errorf("%d requests for %d clients", n, clients)
	}
	workers := make([]worker, clients)
	for c := range clients {
		f := &fixed{want: want, once: once}
		for i := c; i < n; i += clients {
			r, err := request(i)
			if err != nil {
				return nil, err
			}
			f.requests = append(f.requests, r)
		}
		workers[c] = f
	}
	return workers, nil
}

// share returns the sessions of a scenario.
func (e *engine) share(from, to int) (first, n int) {
	first = e.sessions * from / 100
	return first, e.sessions*to/100 - first
}

// withCookie is a request for a session by its cookie.
func (b *bench) withCookie(path string, e *engine, session int, generation int64) ([]byte, error) {
	c, err := b.cookieOf(session, e.users, generation, time.Now())
	if err != nil {
		return nil, err
	}
	return post(path, "Cookie: "+refreshCookie+"="+c+"\r\n", b.csrfBody(session)), nil
}

func (b *bench) csrfBody(session int) string {
	return `{"CSRF_token":"` + b.csrf.Token(sessionID(session)) + `"}`
}

// refresher is a browser with many sessions, whose cookies it keeps. It takes
// them in an order that does not follow that of the rows.
type refresher struct {
	sessions []tab
	at, step int
}

// tab is a session as a browser has it.
type tab struct{ cookie, body string }

func (f *refresher) next() []byte {
	f.at = (f.at + f.step) % len(f.sessions)
	t := &f.sessions[f.at]
	return post("/auth/refresh/", "Cookie: "+refreshCookie+"="+t.cookie+"\r\n", t.body)
}

func (f *refresher) took(r *reply) error {
	value, ok := r.cookieValue(refreshCookie)
	if r.status != http.StatusOK || !ok {
		return r.unexpected("refreshing")
	}
	f.sessions[f.at].cookie = value
	return nil
}

func prepareRefresh(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	first, n := e.share(refreshFrom, graceFrom)
	return b.refreshers(ctx, e, first, n, clients)
}

// refreshers share out the sessions [first, first+n) of an engine, which begin
// again with their first generation.
func (b *bench) refreshers(ctx context.Context, e *engine, first, n, clients int) ([]worker, error) {
	if err := e.rewind(ctx, first, n); err != nil {
		return nil, err
	}
	return b.tabs(e, n, clients, func(i int) int { return first + i })
}

// tabs shares out n sessions, of which session tells the i-th.
func (b *bench) tabs(e *engine, n, clients int, session func(i int) int) ([]worker, error) {
	workers := make([]worker, clients)
	now := time.Now()
	err := inParallel(clients, func(c int) error {
		own := n / clients
		f := &refresher{sessions: make([]tab, own), step: coprime(own)}
		for i := range f.sessions {
			at := session(c*own + i)
			value, err := b.cookieOf(at, e.users, 1, now)
			if err != nil {
				return err
			}
			f.sessions[i] = tab{value, b.csrfBody(at)}
		}
		workers[c] = f
		return nil
	})
	return workers, err
}

// coprime returns a step that visits each of n before it comes back.
func coprime(n int) int {
	for step := n*5/8 + 1; ; step++ {
		a, b := n, step
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return step
		}
	}
}

// rewind makes sessions current in their first generation again.
func (e *engine) rewind(ctx context.Context, first, n int) error {
	err := e.exec(ctx, `UPDATE sessions SET generation = 1 WHERE id >= $1 AND id < $2 AND generation <> 1`, sessionID(first), sessionID(first+n))
	return errors.Join(err, e.tidy(ctx))
}

// tidy leaves the rows as autovacuum would have, given the time.
func (e *engine) tidy(ctx context.Context) error {
	if e.embedded() {
		return nil
	}
	return e.exec(ctx, `VACUUM sessions`)
}

func prepareGrace(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	first, n := e.share(graceFrom, refusedFrom)
	err := e.exec(ctx, `UPDATE sessions SET generation = 2, rotated_at = $3 WHERE id >= $1 AND id < $2`,
		sessionID(first), sessionID(first+n), time.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return nil, err
	}
	return spread(clients, n, http.StatusOK, false, func(i int) ([]byte, error) { return b.withCookie("/auth/refresh/", e, first+i, 1) })
}

func prepareRefused(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	first, n := e.share(refusedFrom, logoffFrom)
	err := e.exec(ctx, `UPDATE sessions SET revoked_at = $3, revoke_reason = 'bench' WHERE id >= $1 AND id < $2`,
		sessionID(first), sessionID(first+n), time.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return nil, err
	}
	return spread(clients, n, http.StatusUnauthorized, false, func(i int) ([]byte, error) { return b.withCookie("/auth/refresh/", e, first+i, 1) })
}

func prepareLogoff(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	first, n := e.share(logoffFrom, 100)
	err := e.exec(ctx, `UPDATE sessions SET revoked_at = NULL WHERE id >= $1 AND id < $2 AND revoked_at IS NOT NULL`,
		sessionID(first), sessionID(first+n))
	if err := errors.Join(err, e.tidy(ctx)); err != nil {
		return nil, err
	}
	return spread(clients, n, http.StatusOK, true, func(i int) ([]byte, error) { return b.withCookie("/auth/logoff/", e, first+i, 1) })
}

// prepareVerify takes access tokens that the server has issued, and presents each
// again and again, as browsers do.
func prepareVerify(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	tokens, err := b.accessTokens(ctx, e, maxClients)
	if err != nil {
		return nil, err
	}
	return spread(clients, len(tokens), http.StatusOK, false, func(i int) ([]byte, error) { return verification(tokens[i]), nil })
}

func verification(token string) []byte { return post("/auth/verify/", "", `{"token":"`+token+`"}`) }

// firstTimes is more tokens than the server remembers.
const firstTimes = 10_000

// prepareVerifyFirst takes so many that the server sees each as for the first time.
func prepareVerifyFirst(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	tokens, err := b.accessTokens(ctx, e, firstTimes)
	if err != nil {
		return nil, err
	}
	return firstVerifiers(tokens, e.presented, clients), nil
}

// firstVerifiers share their tokens, and go on where the last turn ended: a token
// comes again when all others have been, however short a turn is.
func firstVerifiers(tokens []string, presented *atomic.Uint64, clients int) []worker {
	workers := make([]worker, clients)
	for c := range workers {
		workers[c] = &firstVerifier{fixed{want: http.StatusOK}, tokens, presented}
	}
	return workers
}

type firstVerifier struct {
	fixed
	tokens    []string
	presented *atomic.Uint64 // by all
}

func (f *firstVerifier) next() []byte {
	return verification(f.tokens[f.presented.Add(1)%uint64(len(f.tokens))])
}

func prepareIntrospect(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	tokens, err := b.accessTokens(ctx, e, maxClients)
	if err != nil {
		return nil, err
	}
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(e.client.ID+":"+e.client.Secret)) + "\r\n"
	return spread(clients, len(tokens), http.StatusOK, false, func(i int) ([]byte, error) {
		return postAs("application/x-www-form-urlencoded", "/auth/introspect/", basic, "token="+tokens[i]), nil
	})
}

// collector refreshes once for each session, and keeps the access tokens.
type collector struct {
	fixed
	tokens []string
}

func (c *collector) took(r *reply) error {
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := errors.Join(c.fixed.took(r), json.Unmarshal(r.body, &body)); err != nil {
		return err
	}
	c.tokens = append(c.tokens, body.AccessToken)
	return nil
}

// accessTokens returns n tokens that are good for two minutes at least.
func (b *bench) accessTokens(ctx context.Context, e *engine, n int) ([]string, error) {
	if len(e.tokens) >= n && time.Since(e.tokensAt) < 2*time.Minute {
		return e.tokens[:n], nil
	}
	const clients = 8
	workers, err := prepareGrace(ctx, b, e, clients)
	if err != nil {
		return nil, err
	}
	for i, w := range workers {
		f, _ := w.(*fixed)
		workers[i] = &limited{&collector{fixed: *f}, n/clients + 1}
	}
	if _, err := load(ctx, e.server.address, workers, time.Minute); err != nil {
		return nil, err
	}
	e.tokens, e.tokensAt, e.presented = nil, time.Now(), new(atomic.Uint64)
	for _, w := range workers {
		l, _ := w.(*limited)
		c, _ := l.worker.(*collector)
		e.tokens = append(e.tokens, c.tokens...)
	}
	return e.tokens[:n], nil
}

func prepareExchange(ctx context.Context, b *bench, e *engine, clients int) ([]worker, error) {
	if err := e.exec(ctx, `DELETE FROM exchanges`); err != nil {
		return nil, err
	}
	if !e.embedded() {
		if err := e.exec(ctx, `VACUUM exchanges`); err != nil {
			return nil, err
		}
	}
	return spread(clients, len(b.idp.pairs), http.StatusOK, true, func(i int) ([]byte, error) {
		p := b.idp.pairs[i]
		return post("/auth/social-exchange/", "", `{"id_token":"`+p.id+`","access_token":"`+p.access+`","refresh_token":"x","expires_in":3600,"token_type":"Bearer"}`), nil
	})
}

func prepareSignIn(_ context.Context, _ *bench, e *engine, clients int) ([]worker, error) {
	return spread(clients, e.users, http.StatusOK, false, func(i int) ([]byte, error) {
		return post("/auth/sign-in/", "", `{"username":"`+usernameOf(i)+`","password":"`+plain+`"}`), nil
	})
}

func prepareJWKS(_ context.Context, _ *bench, _ *engine, clients int) ([]worker, error) {
	get := []byte("GET /.well-known/jwks.json HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n\r\n")
	return spread(clients, clients, http.StatusOK, false, func(int) ([]byte, error) { return get, nil })
}
