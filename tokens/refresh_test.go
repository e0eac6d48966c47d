package tokens_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-auth/gatehouse/tokens"
)

var current = tokens.Refresh{
	SessionID: "0193a5e0-1111-7000-8000-000000000001", Generation: 7, UserID: "42",
	IssuedAt: start.Truncate(time.Second), ExpiresAt: start.Truncate(time.Second).Add(24 * time.Hour),
}

func issueRefresh(tb testing.TB, s *tokens.Service, r tokens.Refresh) string {
	tb.Helper()
	token, err := s.IssueRefresh(r)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// The bytes are fixed for ever: another version of this program must make the same successor.
func TestRefreshGolden(t *testing.T) {
	t.Parallel()
	s := service(t)
	token := issueRefresh(t, s, current)
	// Computed by another program from the words of IssueRefresh: HKDF-SHA256 and HMAC-SHA256, nothing else.
	const want = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCIsInNpZCI6IjAxOTNhNWUwLTExMTEtNzAwMC04MDAwLTAwMDAwMDAwMDAwMSIsImdlbiI6NywianRpIjoiRUhZMnM1QV9CalRtd3ZYSHdSSXhPdyIsInVzZXJfaWQiOiI0MiIsInN1YiI6IjQyIiwiaWF0IjoxNzk1NTEwODAwLCJleHAiOjE3OTU1OTcyMDB9.MPwVlAu5iIjRgkxdWaoi28ABaMviv23luZoPYRlwWzM"
	if token != want {
		t.Errorf("got  %s\nwant %s", token, want)
	}
	payload := `{"token_type":"refresh","sid":"0193a5e0-1111-7000-8000-000000000001","gen":7,"jti":"` +
		s.RefreshID(current.SessionID, 7) + `","user_id":"42","sub":"42","iat":1795510800,"exp":1795597200}`
	if got := s.SignRefreshRaw(`{"alg":"HS256","typ":"JWT"}`, payload); got != token {
		t.Errorf("the payload is not %s", payload)
	}
	withFractions := current
	withFractions.IssuedAt = withFractions.IssuedAt.Add(999 * time.Millisecond).In(time.FixedZone("", 3600))
	withFractions.ExpiresAt = withFractions.ExpiresAt.Add(1)
	for name, other := range map[string]*tokens.Service{
		"the same service":   s,
		"another replica":    service(t, algorithm(tokens.EdDSA)),
		"one with fallbacks": service(t, func(c *tokens.Config) { c.SecretFallbacks = []string{otherSecret} }),
	} {
		if again := issueRefresh(t, other, withFractions); again != token {
			t.Errorf("%s makes another token: %s", name, again)
		}
	}
}

func TestRefreshRoundTrip(t *testing.T) {
	t.Parallel()
	old := service(t, func(c *tokens.Config) { c.Secret = otherSecret })
	s := service(t, func(c *tokens.Config) { c.SecretFallbacks = []string{otherSecret} })
	odd := current
	odd.UserID, odd.SessionID, odd.Generation = "weiß \"\\<&>\u2028", "s\x00\x7f", 1<<62
	for _, want := range []tokens.Refresh{current, odd} {
		for name, issuer := range map[string]*tokens.Service{"secret": s, "fallback": old} {
			got, err := s.ParseRefresh(issueRefresh(t, issuer, want))
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v %s", name, err, diff)
			}
		}
	}
	if _, err := old.ParseRefresh(issueRefresh(t, s, current)); !errors.Is(err, tokens.ErrSignature) {
		t.Errorf("under a secret of another: %v", err)
	}
}

// Every other session or generation gives another id.
func TestRefreshIDs(t *testing.T) {
	t.Parallel()
	s := service(t)
	seen := map[string]string{}
	for _, sid := range []string{"a", "b", "a1", "1a", "\x00a", ""} {
		for gen := int64(1); gen < 300; gen++ {
			id, who := s.RefreshID(sid, gen), fmt.Sprintf("%q %d", sid, gen)
			if other, twice := seen[id]; twice || len(id) != 22 {
				t.Fatalf("%s and %s have id %q", who, other, id)
			}
			seen[id] = who
		}
	}
}

func TestRefreshExpired(t *testing.T) {
	t.Parallel()
	for after, want := range map[time.Duration]error{-1: nil, 0: tokens.ErrExpired, time.Hour: tokens.ErrExpired} {
		s := service(t, func(c *tokens.Config) {
			c.Now = func() time.Time { return current.ExpiresAt.Add(after) }
		})
		got, err := s.ParseRefresh(issueRefresh(t, s, current))
		if diff := cmp.Diff(current, got); !errors.Is(err, want) || diff != "" {
			t.Errorf("%v after exp: %v %s", after, err, diff)
		}
	}
}

func TestIssueRefreshRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*tokens.Refresh)
		want error
	}{
		"no session":               {func(r *tokens.Refresh) { r.SessionID = "" }, tokens.ErrSubject},
		"no user":                  {func(r *tokens.Refresh) { r.UserID = "" }, tokens.ErrSubject},
		"no generation":            {func(r *tokens.Refresh) { r.Generation = 0 }, tokens.ErrSubject},
		"a session not UTF-8":      {func(r *tokens.Refresh) { r.SessionID = "\xff" }, tokens.ErrSubject},
		"a user not UTF-8":         {func(r *tokens.Refresh) { r.UserID = "\xff" }, tokens.ErrSubject},
		"an end with its begin":    {func(r *tokens.Refresh) { r.ExpiresAt = r.IssuedAt.Add(999 * time.Millisecond) }, tokens.ErrSessionOver},
		"a user too long to store": {func(r *tokens.Refresh) { r.UserID = strings.Repeat("u", 1000) }, tokens.ErrTooLarge},
	} {
		r := current
		c.edit(&r)
		if token, err := service(t).IssueRefresh(r); !errors.Is(err, c.want) || token != "" {
			t.Errorf("%s: got %q, %v; want %v", name, token, err, c.want)
		}
	}
}

func TestForgedRefreshTokens(t *testing.T) {
	t.Parallel()
	s := service(t)
	good := issueRefresh(t, s, current)
	parts := strings.Split(good, ".")
	const head = `{"alg":"HS256","typ":"JWT"}`
	payload := func(edits ...string) string {
		p := `{"token_type":"refresh","sid":"s","gen":7,"jti":"` + s.RefreshID("s", 7) + `","user_id":"42","sub":"42","iat":1795510800,"exp":1795597200}`
		return s.SignRefreshRaw(head, strings.NewReplacer(edits...).Replace(p))
	}
	if _, err := s.ParseRefresh(payload()); err != nil {
		t.Fatalf("the unforged token: %v", err)
	}
	shared := service(t, algorithm(tokens.HS256))
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"nothing":                            {"", tokens.ErrMalformed},
		"garbage":                            {"garbage", tokens.ErrMalformed},
		"alg none":                           {tokens.Encode(`{"alg":"none","typ":"JWT"}`) + "." + parts[1] + ".", tokens.ErrHeader},
		"another header":                     {s.SignRefreshRaw(`{"typ":"JWT","alg":"HS256"}`, "{}"), tokens.ErrHeader},
		"a header with a kid":                {s.SignRefreshRaw(`{"alg":"HS256","kid":"x","typ":"JWT"}`, "{}"), tokens.ErrHeader},
		"signed with the secret itself":      {shared.SignRaw(head, `{"token_type":"refresh"}`, start), tokens.ErrSignature},
		"an access token":                    {issue(t, s, alice), tokens.ErrHeader},
		"an access token of the same header": {issue(t, shared, alice), tokens.ErrSignature},
		"another payload":                    {parts[0] + "." + tokens.Encode("{}") + "." + parts[2], tokens.ErrSignature},
		"no signature":                       {parts[0] + "." + parts[1] + ".", tokens.ErrSignature},
		"a signature cut short":              {good[:len(good)-3], tokens.ErrSignature},
		"trailing bits":                      {nonCanonical(good), tokens.ErrMalformed},
		"padding":                            {good + "=", tokens.ErrMalformed},
		"a line break":                       {good + "\n", tokens.ErrMalformed},
		"more than a cookie holds":           {good + strings.Repeat("A", 2048), tokens.ErrMalformed},
		"another type":                       {payload(`"refresh"`, `"access"`), tokens.ErrTokenType},
		"no type":                            {payload(`"token_type"`, `"type"`), tokens.ErrTokenType},
		"no session":                         {payload(`"sid"`, `"SID"`), tokens.ErrMalformed},
		"a session that is a number":         {payload(`"sid":"s"`, `"sid":1`), tokens.ErrMalformed},
		"no generation":                      {payload(`"gen"`, `"g"`), tokens.ErrMalformed},
		"generation 0":                       {payload(`"gen":7`, `"gen":0`), tokens.ErrMalformed},
		"generation text":                    {payload(`"gen":7`, `"gen":"7"`), tokens.ErrMalformed},
		"generation a fraction":              {payload(`"gen":7`, `"gen":7.0`), tokens.ErrMalformed},
		"generation beyond int64":            {payload(`"gen":7`, `"gen":9223372036854775808`), tokens.ErrMalformed},
		"generation twice":                   {payload(`"gen":7`, `"gen":6,"gen":7`), tokens.ErrMalformed},
		"another generation's id":            {payload(`"gen":7`, `"gen":8`), tokens.ErrNoID},
		"another session's id":               {payload(`"sid":"s"`, `"sid":"t"`), tokens.ErrNoID},
		"no id":                              {payload(`"jti"`, `"x"`), tokens.ErrNoID},
		"no user":                            {payload(`"user_id":"42"`, `"user_id":""`), tokens.ErrNoUser},
		"a user that is a number":            {payload(`"user_id":"42"`, `"user_id":42`), tokens.ErrNoUser},
		"two users":                          {payload(`"sub":"42"`, `"sub":"1"`), tokens.ErrNoUser},
		"no iat":                             {payload(`"iat"`, `"x"`), tokens.ErrMalformed},
		"no exp":                             {payload(`"exp"`, `"x"`), tokens.ErrMalformed},
		"exp in exponent form":               {payload(`1795597200}`, `1e10`), tokens.ErrMalformed},
		"a payload that is no object":        {s.SignRefreshRaw(head, `[]`), tokens.ErrMalformed},
	} {
		got, err := s.ParseRefresh(c.token)
		if !errors.Is(err, c.want) || !errors.Is(err, tokens.ErrInvalidToken) || got != (tokens.Refresh{}) {
			t.Errorf("%s: got %+v, %v; want %v", name, got, err, c.want)
		}
	}
	// And a refresh token is no access token, even where both are HMACs of one secret.
	if _, err := shared.VerifyAccess(good, start); !errors.Is(err, tokens.ErrSignature) {
		t.Errorf("a refresh token at the other door: %v", err)
	}
}
