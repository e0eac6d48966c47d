package verify_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/verify"
)

func short(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:8]
}

// statementClaims is a good statement that names some sessions, but for the edits.
func statementClaims(at time.Time, sessions []string, edits ...object) object {
	var all [][]byte
	for _, id := range sessions {
		all = append(all, short(id))
	}
	slices.SortFunc(all, bytes.Compare)
	c := object{
		"iss": issuerURL, "iat": at.Unix(), "exp": at.Add(2 * time.Minute).Unix(), "access_lifetime": 300,
		"sessions": base64.RawURLEncoding.EncodeToString(bytes.Join(all, nil)), "users": object{},
	}
	for _, edit := range edits {
		merge(c, edit)
	}
	return c
}

func (p pair) statement(claims object) string {
	return p.sign(p.header(object{"typ": "revocations+jwt"}), text(claims))
}

// states answers with a statement.
func (w *world) states(body string) {
	w.answers(func(r *http.Request) *http.Response {
		etag := `"` + base64.RawURLEncoding.EncodeToString(short(body)) + `"`
		header := http.Header{"Content-Type": {"application/jwt"}, "Cache-Control": {"public, max-age=5"}, "Etag": {etag}}
		if r.Header.Get("If-None-Match") == etag {
			return respond(http.StatusNotModified, header, "")
		}
		return respond(http.StatusOK, header, body)
	})
}

func (w *world) answers(state func(*http.Request) *http.Response) { w.set(func() { w.state = state }) }

func mode(m verify.Revocations) func(*verify.Config) {
	return func(c *verify.Config) { c.Revocations = m }
}

// TestRevocations refuses what the statement names, and nothing else.
func TestRevocations(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	w := newWorld(key)
	users := object{base64.RawURLEncoding.EncodeToString(short("13")): start.Unix()}
	w.states(key.statement(statementClaims(start, []string{"ended-1", "ended-2", "ended-3"}, object{"users": users})))
	modes := map[string]*verify.Verifier{"off": verifier(t, w, newClock().now), "off by name": verifier(t, w, newClock().now, mode(verify.RevocationsOff))}
	for name, m := range map[string]verify.Revocations{"prefer": verify.PreferRevocations, "require": verify.RequireRevocations} {
		modes[name] = verifier(t, w, newClock().now, mode(m))
	}
	user13 := object{"sub": "13", "user_id": 13, "sid": "another"}
	for name, c := range map[string]struct {
		token   string
		revoked bool
	}{
		"a living session":               {key.access(start), false},
		"an ended one":                   {key.access(start, object{"sid": "ended-1"}), true},
		"the second":                     {key.access(start, object{"sid": "ended-2"}), true},
		"the third":                      {key.access(start, object{"sid": "ended-3"}), true},
		"no session":                     {key.access(start, object{"sid": nil}), false},
		"a user cut off":                 {key.access(start, user13), true},
		"a user cut off before":          {key.access(start.Add(time.Second), user13), false},
		"a user cut off, with no iat":    {key.access(start, user13, object{"iat": nil}), true},
		"an ended session of that other": {key.access(start.Add(time.Second), user13, object{"sid": "ended-1"}), true},
	} {
		for mode, v := range modes {
			_, err := v.Verify(t.Context(), c.token)
			if c.revoked && !strings.HasPrefix(mode, "off") != errors.Is(err, verify.ErrRevoked) || !errors.Is(err, verify.ErrRevoked) && err != nil {
				t.Errorf("%s, %s: %v", mode, name, err)
			}
		}
	}
	stats := modes["require"].Stats()
	if stats.SessionsRevoked != 3 || stats.UsersRevoked != 1 || stats.TokensRevoked != 6 || stats.StatementFetches != 1 || !stats.StatementIssuedAt.Equal(start) || stats.KeyFetches != 1 || stats.Keys != 1 {
		t.Errorf("counted %+v", stats)
	}
}

// TestStatementsThatAreNotBelieved has statements with one defect each. With
// prefer the token is taken, and with require nothing can be said of it: it is
// never the token's fault.
func TestStatementsThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	key, other := newPair(t, "k1", "ES256"), newPair(t, "k1", "ES256")
	edited := func(edit object) string { return key.statement(statementClaims(start, nil, edit)) }
	claims := text(statementClaims(start, nil))
	two := append(short("ended-1"), short("ended-2")...)
	if bytes.Compare(two[:8], two[8:]) < 0 {
		two = append(short("ended-2"), short("ended-1")...)
	}
	answer := func(status int, media, body string) func(*http.Request) *http.Response {
		return func(*http.Request) *http.Response { return respond(status, http.Header{"Content-Type": {media}}, body) }
	}
	good := edited(nil)
	for name, state := range map[string]func(*http.Request) *http.Response{
		"no network":                      nil,
		"500":                             answer(500, "application/jwt", good),
		"304 that was not asked for":      answer(304, "application/jwt", ""),
		"a redirect":                      answer(302, "application/jwt", good),
		"a page":                          answer(200, "text/html; charset=utf-8", "<html>"),
		"no media type":                   answer(200, "", good),
		"JSON":                            answer(200, "application/json", claims),
		"nothing":                         answer(200, "application/jwt", ""),
		"an endless one":                  answer(200, "application/jwt", good+strings.Repeat("A", 9<<20)),
		"an access token":                 answer(200, "application/jwt", key.access(start)),
		"an access token of much":         answer(200, "application/jwt", key.access(start, statementClaims(start, nil))),
		"no typ":                          answer(200, "application/jwt", key.sign(key.header(object{"typ": nil}), claims)),
		"typ in another case":             answer(200, "application/jwt", key.sign(key.header(object{"typ": "Revocations+JWT"}), claims)),
		"alg none":                        answer(200, "application/jwt", b64(`{"alg":"none","kid":"k1","typ":"revocations+jwt"}`)+"."+b64(claims)+"."),
		"another's key":                   answer(200, "application/jwt", other.statement(statementClaims(start, nil))),
		"another's key, embedded":         answer(200, "application/jwt", other.sign(other.header(object{"typ": "revocations+jwt", "jwk": other.jwk()}), claims)),
		"an unknown key":                  answer(200, "application/jwt", key.sign(key.header(object{"typ": "revocations+jwt", "kid": "k2"}), claims)),
		"another issuer":                  answer(200, "application/jwt", edited(object{"iss": "https://other.test"})),
		"expired":                         answer(200, "application/jwt", edited(object{"exp": start.Unix()})),
		"no exp":                          answer(200, "application/jwt", edited(object{"exp": nil})),
		"no iat":                          answer(200, "application/jwt", edited(object{"iat": nil})),
		"of the future":                   answer(200, "application/jwt", edited(object{"iat": start.Unix() + 31})),
		"no lifetime":                     answer(200, "application/jwt", edited(object{"access_lifetime": nil})),
		"of shorter lives than the token": answer(200, "application/jwt", edited(object{"access_lifetime": 299})),
		"no sessions":                     answer(200, "application/jwt", edited(object{"sessions": nil})),
		"sessions that are a list":        answer(200, "application/jwt", edited(object{"sessions": []string{}})),
		"half a session":                  answer(200, "application/jwt", edited(object{"sessions": "AAAA"})),
		"sessions out of order":           answer(200, "application/jwt", edited(object{"sessions": base64.RawURLEncoding.EncodeToString(two)})),
		"sessions twice":                  answer(200, "application/jwt", edited(object{"sessions": base64.RawURLEncoding.EncodeToString(append(short("a"), short("a")...))})),
		"no users":                        answer(200, "application/jwt", edited(object{"users": nil})),
		"users by name":                   answer(200, "application/jwt", edited(object{"users": object{"42": 1}})),
		"users without a time":            answer(200, "application/jwt", edited(object{"users": object{"AAAAAAAAAAA": "x"}})),
		"a member twice": answer(200, "application/jwt", key.sign(key.header(object{"typ": "revocations+jwt"}),
			strings.Replace(claims, `"iss"`, `"sessions":"","iss"`, 1))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(key)
			w.answers(state)
			token := key.access(start, object{"sid": "ended-1"})
			_, err := verifier(t, w, newClock().now, mode(verify.RequireRevocations)).Verify(t.Context(), token)
			if !errors.Is(err, verify.ErrRevocationsUnavailable) || !errors.Is(err, verify.ErrUnavailable) || errors.Is(err, verify.ErrInvalidToken) {
				t.Errorf("require: %v", err)
			}
			var log strings.Builder
			v := verifier(t, w, newClock().now, mode(verify.PreferRevocations), func(c *verify.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			for range 3 {
				if _, err := v.Verify(t.Context(), token); err != nil {
					t.Errorf("prefer: %v", err)
				}
			}
			if got := v.Stats(); got.TokensUnchecked != 3 || strings.Count(log.String(), "without a statement") != 1 {
				t.Errorf("counted %+v, logged %s", got, &log)
			}
		})
	}
}

// TestAStatementIsNoAccessToken presents a statement that has all claims of an
// access token.
func TestAStatementIsNoAccessToken(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	v := verifier(t, newWorld(key), newClock().now)
	if _, err := v.Verify(t.Context(), key.statement(accessClaims(start))); !errors.Is(err, verify.ErrTokenType) {
		t.Errorf("by its typ: %v", err)
	}
	if _, err := v.Verify(t.Context(), key.sign(key.header(), text(statementClaims(start, nil)))); !errors.Is(err, verify.ErrTokenType) {
		t.Errorf("by its claims: %v", err)
	}
}

// TestStaleness moves the clock past what a statement is good for, without Run.
func TestStaleness(t *testing.T) {
	t.Parallel()
	key, c := newPair(t, "k1", "ES256"), newClock()
	w := newWorld(key)
	require, prefer := verifier(t, w, c.now, mode(verify.RequireRevocations)), verifier(t, w, c.now, mode(verify.PreferRevocations))
	state := func(sessions ...string) { w.states(key.statement(statementClaims(c.now(), sessions))) }
	expect := func(when string, wantRequire, wantPrefer error) {
		t.Helper()
		for v, want := range map[*verify.Verifier]error{require: wantRequire, prefer: wantPrefer} {
			if _, err := v.Verify(t.Context(), key.access(c.now())); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", when, err, want)
			}
		}
	}
	state()
	expect("at first", nil, nil)
	c.advance(4 * time.Second)
	state("session-1")
	expect("while the statement may be cached", nil, nil)
	c.advance(6 * time.Second) // twice the max-age
	expect("later", verify.ErrRevoked, verify.ErrRevoked)
	w.answers(nil)
	c.advance(110 * time.Second) // the statement is of the fourth second
	expect("in an outage", verify.ErrRevoked, verify.ErrRevoked)
	c.advance(10 * time.Second)
	expect("when the statement has expired", verify.ErrRevocationsUnavailable, nil)
	state()
	c.advance(31 * time.Second) // the longest pause between two tries
	expect("when it is mended", nil, nil)
	if prefer.Stats().TokensUnchecked != 1 {
		t.Errorf("counted %+v", prefer.Stats())
	}
}

// TestUncheckedIsLoggedOnce lets tokens that the statement does not look back for
// alternate with others: a line for each statement, and it says why.
func TestUncheckedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	key, c := newPair(t, "k1", "ES256"), newClock()
	w := newWorld(key)
	var log strings.Builder
	v := verifier(t, w, c.now, mode(verify.PreferRevocations), func(c *verify.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	for statements := range 3 {
		w.states(key.statement(statementClaims(c.now(), nil)))
		for range 5 {
			for _, life := range []time.Duration{time.Hour, 5 * time.Minute} {
				if _, err := v.Verify(t.Context(), key.access(c.now(), object{"exp": c.now().Add(life).Unix()})); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := strings.Count(log.String(), "without a statement"); got != statements+1 || strings.Contains(log.String(), "nil") {
			t.Errorf("with %d statements logged %s", statements+1, &log)
		}
		c.advance(11 * time.Second) // it is older than twice its max-age: the next token waits for another
	}
	if got := v.Stats().TokensUnchecked; got != 15 {
		t.Errorf("%d are unchecked", got)
	}
}

// TestRevokedToTheEnd has a leeway that is longer than an issuer without one goes
// on naming what was revoked: no token is good again before it has expired.
func TestRevokedToTheEnd(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	const stated = 6 * time.Minute // the life of a token, and a minute
	for name, m := range map[string]verify.Revocations{"prefer": verify.PreferRevocations, "require": verify.RequireRevocations} {
		for _, c := range []struct {
			after         time.Duration
			revoked, good error
		}{
			{10 * time.Second, verify.ErrRevoked, nil},
			{5*time.Minute + 30*time.Second, verify.ErrRevoked, nil},
			{5*time.Minute + 31*time.Second, verify.ErrRevoked, verify.ErrExpired},
			{stated, verify.ErrRevoked, verify.ErrExpired},
			{stated + time.Second, verify.ErrExpired, verify.ErrExpired},
			{7*time.Minute - 1, verify.ErrExpired, verify.ErrExpired},
		} {
			clock := newClock()
			clock.advance(c.after)
			var ended []string
			if c.after <= stated {
				ended = []string{"session-1"}
			}
			w := newWorld(key)
			w.states(key.statement(statementClaims(clock.now(), ended)))
			v := verifier(t, w, clock.now, mode(m), func(c *verify.Config) { c.Leeway = 2 * time.Minute })
			for sid, want := range map[string]error{"session-1": c.revoked, "session-2": c.good} {
				if _, err := v.Verify(t.Context(), key.access(start, object{"sid": sid})); !errors.Is(err, want) {
					t.Errorf("%s, %s after %v: %v, want %v", name, sid, c.after, err, want)
				}
			}
		}
	}
}

// TestNoRollback answers with an older statement, as who can play one back, or
// another replica: the newer one stays.
func TestNoRollback(t *testing.T) {
	t.Parallel()
	key, c := newPair(t, "k1", "ES256"), newClock()
	w := newWorld(key)
	v := verifier(t, w, c.now, mode(verify.RequireRevocations))
	old := key.statement(statementClaims(start, nil))
	c.advance(10 * time.Second)
	w.states(key.statement(statementClaims(c.now(), []string{"session-1"})))
	token := key.access(c.now())
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrRevoked) {
		t.Fatal(err)
	}
	w.states(old)
	for range 4 {
		c.advance(11 * time.Second)
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("after a rollback: %v", err)
		}
	}
	if got := v.Stats(); got.StatementFailures != 0 || got.StatementFetches != 5 || !got.StatementIssuedAt.Equal(start.Add(10*time.Second)) {
		t.Errorf("counted %+v", got)
	}
}

// TestFetchesOfStatements counts them: one for all who wait, few in an outage.
func TestFetchesOfStatements(t *testing.T) {
	t.Parallel()
	key, c := newPair(t, "k1", "ES256"), newClock()
	w := newWorld(key)
	v := verifier(t, w, c.now, mode(verify.PreferRevocations))
	for range 1000 {
		if _, err := v.Verify(t.Context(), key.access(c.now())); err != nil {
			t.Fatal(err)
		}
		c.advance(10 * time.Millisecond) // ten seconds in all
	}
	if got := w.fetched(revokeURL); got < 3 || got > 6 {
		t.Errorf("%d fetches in ten seconds of an outage", got)
	}
	w.states(key.statement(statementClaims(c.now(), nil)))
	c.advance(time.Minute)
	before := w.fetched(revokeURL)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := v.Verify(t.Context(), key.access(c.now())); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := w.fetched(revokeURL) - before; got != 1 {
		t.Errorf("%d fetches for 50 who asked at once", got)
	}
}

// TestWhoGoesAway ends the context of the one who waits.
func TestWhoGoesAway(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	w := newWorld(key)
	v := verifier(t, w, newClock().now, mode(verify.RequireRevocations))
	w.states(key.statement(statementClaims(start, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	w.set(func() {
		inner := w.state
		w.state = func(r *http.Request) *http.Response { cancel(); <-ctx.Done(); return inner(r) }
	})
	_, err := v.Verify(ctx, key.access(start))
	if err != nil && (!errors.Is(err, verify.ErrUnavailable) || !errors.Is(err, context.Canceled)) {
		t.Errorf("got %v", err)
	}
	if _, err := v.Verify(t.Context(), key.access(start)); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// TestRun keeps keys and statement fresh for a while, as the issuer says how
// often, and asks with the tag.
func TestRun(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "ES256")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(key)
		w.keyAge = "public, max-age=300"
		w.states(key.statement(statementClaims(time.Now(), nil)))
		v := verifier(t, w, nil, mode(verify.RequireRevocations))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.Run(ctx) }()
		expect := func(when string, keys, statements int) {
			t.Helper()
			synctest.Wait()
			if gotKeys, got := w.fetched(keysURL), w.fetched(revokeURL); gotKeys != keys || got != statements {
				t.Errorf("%s: %d and %d fetches, want %d and %d", when, gotKeys, got, keys, statements)
			}
		}
		expect("at the start", 1, 1)
		time.Sleep(100 * time.Second)
		expect("after 100 seconds", 1, 21)
		if got := v.Stats(); got.StatementFailures != 0 || got.Keys != 1 {
			t.Errorf("counted %+v", got)
		}
		w.answers(nil)
		time.Sleep(7 * time.Second) // the fetches of the fifth and the sixth second fail; the next comes after two more
		expect("in an outage", 1, 23)
		w.states(key.statement(statementClaims(time.Now(), nil)))
		time.Sleep(200 * time.Second)
		expect("after five minutes", 2, w.fetched(revokeURL))
		if _, err := v.Verify(t.Context(), key.access(time.Now())); err == nil {
			t.Error("a token is taken by a statement that has expired")
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
		off := verifier(t, w, nil)
		ctx, cancel = context.WithCancel(t.Context())
		go func() { done <- off.Run(ctx) }()
		expect("without revocations", 3, w.fetched(revokeURL))
		cancel()
		<-done
	})
}

// TestWorstCase ends sessions at many moments, with an issuer that makes a
// statement every five seconds at most and lets it be cached as long: how late a
// token is refused is what docs/verifying.md says.
func TestWorstCase(t *testing.T) {
	t.Parallel()
	key := newPair(t, "k1", "RS256")
	for runs, bound := range map[bool]time.Duration{true: 10 * time.Second, false: 15 * time.Second} {
		var worst time.Duration
		for phase := time.Duration(0); phase < 5*time.Second; phase += time.Second {
			for offset := time.Duration(0); offset < 10*time.Second; offset += 1100 * time.Millisecond {
				synctest.Test(t, func(t *testing.T) { worst = max(worst, lateness(t, key, runs, phase, offset)) })
			}
		}
		if worst > bound || worst < bound-2*time.Second {
			t.Errorf("Run: %v: a token is taken %v after the end, and %v was said", runs, worst, bound)
		}
	}
}

// lateness is how long after the end of its session a token is still taken. The
// verifier begins a while after the issuer has made a statement.
func lateness(t *testing.T, key pair, runs bool, phase, offset time.Duration) (late time.Duration) {
	const interval = 5 * time.Second
	w := newWorld(key)
	var mu sync.Mutex
	var ended []string
	var made time.Time
	var body string
	w.answers(func(*http.Request) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		if now := time.Now(); now.Sub(made) >= interval {
			made, body = now, key.statement(statementClaims(now, ended))
		}
		return respond(http.StatusOK, http.Header{"Content-Type": {"application/jwt"}, "Cache-Control": {"public, max-age=5"}}, body)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	// Others ask all the time, so that it is not this verifier that says when a statement is made.
	beside.Go(func() {
		for ctx.Err() == nil {
			w.state(nil)
			time.Sleep(50 * time.Millisecond)
		}
	})
	time.Sleep(phase)
	asks := verifier(t, w, nil, mode(verify.RequireRevocations))
	if runs {
		beside.Go(func() { _ = asks.Run(ctx) })
	}
	token := key.access(time.Now())
	pace := 100 * time.Millisecond
	if !runs {
		pace = 4900 * time.Millisecond // whoever asks rarely has the older statement
	}
	end := time.Now().Add(10*time.Second + offset)
	time.AfterFunc(time.Until(end), func() {
		mu.Lock()
		defer mu.Unlock()
		ended = append(ended, "session-1")
	})
	for {
		_, err := asks.Verify(t.Context(), token)
		if errors.Is(err, verify.ErrRevoked) {
			return late
		}
		if late = time.Since(end); err != nil || late > time.Minute {
			t.Fatalf("after %v: %v", late, err)
		}
		time.Sleep(pace)
	}
}
