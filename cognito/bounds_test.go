package cognito_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/golang-jwt/jwt/v5"
)

// TestSizeComesFirst measures what an endless token costs before it is refused.
// It does not run beside others, whose memory it would count.
func TestSizeComesFirst(t *testing.T) {
	p := pool(t)
	v := verifier(t, p, nil)
	endless := strings.Repeat(".", 8<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := v.VerifyID(t.Context(), endless)
	runtime.ReadMemStats(&after)
	refused(t, err, cognito.ErrMalformed)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
		t.Errorf("refusing 8 MiB took %d bytes", spent)
	}
}

// TestSignedButRefused is tokens that the pool's key has signed just as they are,
// so that only the rule in question can refuse them.
func TestSignedButRefused(t *testing.T) {
	t.Parallel()
	p := pool(t)
	key := p.Key("kid-1")
	v := verifier(t, p, nil)
	claim, err := json.Marshal(p.ID("111", now))
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	sign := func(header, payload string) string {
		signature, err := jwt.SigningMethodRS256.Sign(header+"."+payload, key)
		if err != nil {
			t.Fatal(err)
		}
		return header + "." + payload + "." + b64(signature)
	}
	// With a length of one more than a multiple of three, four bits of the last letter are nobody's.
	loose := func(text string) string {
		for len(text)%3 != 1 {
			text += " "
		}
		encoded := b64([]byte(text))
		return encoded[:len(encoded)-1] + nextLetter(encoded[len(encoded)-1])
	}
	const head = `{"alg":"RS256","kid":"kid-1"}`
	long := func(size int) string {
		room := (size - 400 - len(head)) * 3 / 4 // beside the header, the signature and the dots
		return sign(b64([]byte(head)), b64(append(claim, strings.Repeat(" ", room-len(claim))...)))
	}
	fits, over := long(16<<10), long(17<<10)
	if len(fits) > 16<<10 || len(over) <= 16<<10 {
		t.Fatalf("the tokens have %d and %d bytes", len(fits), len(over))
	}
	for _, tc := range []struct {
		name, token string
		want        error
	}{
		{"blanks behind the payload", sign(b64([]byte(head)), b64(append(claim, "  "...))), nil},
		{"as long as a token may be", fits, nil},
		{"longer", over, cognito.ErrMalformed},
		{"bits behind the header's end", sign(loose(head), b64(claim)), cognito.ErrMalformed},
		{"bits behind the payload's end", sign(b64([]byte(head)), loose(string(claim))), cognito.ErrMalformed},
	} {
		_, err := v.VerifyID(t.Context(), tc.token)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestClaimsAreBounded has more groups than are kept, and characters that no name
// has.
func TestClaimsAreBounded(t *testing.T) {
	t.Parallel()
	p := pool(t)
	groups := make([]string, 150)
	for i := range groups {
		groups[i] = fmt.Sprintf("group-%d", i)
	}
	for name, bad := range map[string]string{"a line break": "a\nb", "DEL": "a\x7fb", "NEL": "a\u0085b", "what was no UTF-8": "a\ufffdb"} {
		id, access := p.Pair("111", now, claims{"cognito:groups": groups, "given_name": bad})
		got, err := verifier(t, p, nil).VerifyPair(t.Context(), cognito.Pair{IDToken: id, AccessToken: access})
		if err != nil || got.GivenName != "" || len(got.Groups) != 100 || got.Groups[99] != "group-99" {
			t.Errorf("%s: %q, %d groups, %v", name, got.GivenName, len(got.Groups), err)
		}
		spoiled := p.Sign("kid-1", p.ID("111", now).With(claims{"sub": bad}))
		_, err = verifier(t, p, nil).VerifyID(t.Context(), spoiled)
		refused(t, err, cognito.ErrSubject)
	}
}

// TestSubjectsAreBounded has subjects of other characters than ASCII: they may be
// there, but make no subject longer than 255 of ASCII are.
func TestSubjectsAreBounded(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	for sub, want := range map[string]error{
		strings.Repeat("a", 255): nil, strings.Repeat("é", 127): nil, strings.Repeat("漢", 85): nil, "f:0b5e:jürgen": nil,
		strings.Repeat("é", 128): cognito.ErrSubject, strings.Repeat("漢", 86): cognito.ErrSubject, strings.Repeat("😀", 164): cognito.ErrSubject,
	} {
		got, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now).With(claims{"sub": sub})))
		if !errors.Is(err, want) || err == nil && got.Subject != sub {
			t.Errorf("%.20q of %d bytes: %v, want %v", sub, len(sub), err, want)
		}
	}
}

// TestWhatIsNoAddress has e-mail claims that a mailer would read as an address,
// and another as another one: each is dropped, and the sign-in goes on.
func TestWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	p := pool(t)
	v := verifier(t, p, nil)
	for _, email := range []string{
		"Admin <a@example.test>", "<a@example.test>", "a@example.test ", "a@example.test (admin)", `"a b"@example.test`,
		"a@example.test, b@example.test", "a@example.test\r\nBcc: b@example.test", "a@", "@example.test",
	} {
		got, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now).With(claims{"email": email})))
		if err != nil || got.Email != "" {
			t.Errorf("%q: taken as %q, %v", email, got.Email, err)
		}
	}
}

// answers is a client for which every address answers with a body.
func answers(body func(*http.Request) string) *http.Client {
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body(r)))}, nil
	})}
}

// TestKeySetSize answers with a set that is good but for its size.
func TestKeySetSize(t *testing.T) {
	t.Parallel()
	p := pool(t)
	token := p.Sign("kid-1", p.ID("111", now))
	set := `{"keys":[` + cognitotest.JWK("kid-1", &p.Key("kid-1").PublicKey) + `]}`
	for size, want := range map[int]error{512 << 10: nil, 512<<10 + 1: cognito.ErrKeysUnavailable} {
		body := set + strings.Repeat(" ", size-len(set))
		v := verifier(t, p, func(c *cognito.Config) { c.HTTPClient = answers(func(*http.Request) string { return body }) })
		if _, err := v.VerifyID(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}

// TestKeysBeyondMeasure publishes keys that would make a signature worthless, or
// dear to check.
func TestKeysBeyondMeasure(t *testing.T) {
	t.Parallel()
	p := pool(t)
	key := p.Key("kid-1")
	bits, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 8200))
	if err != nil {
		t.Fatal(err)
	}
	huge := rsa.PublicKey{N: bits.SetBit(bits.SetBit(bits, 8200, 1), 0, 1), E: 65537}
	p.SetKeys(map[string]*rsa.PrivateKey{"kid-1": key},
		cognitotest.JWK("huge", &huge),
		cognitotest.JWK("e is 1", &rsa.PublicKey{N: key.N, E: 1}), // a signature would be its own padding
		cognitotest.JWK("e is 2", &rsa.PublicKey{N: key.N, E: 2}),
		cognitotest.JWK("e is even", &rsa.PublicKey{N: key.N, E: 65536}),
	)
	v := verifier(t, p, nil)
	if _, err := v.VerifyID(t.Context(), p.Sign("kid-1", p.ID("111", now))); err != nil {
		t.Errorf("the good key beside them: %v", err)
	}
	for _, kid := range []string{"huge", "e is 1", "e is 2", "e is even"} {
		_, err := v.VerifyID(t.Context(), cognitotest.Sign(key, map[string]any{"kid": kid}, p.ID("111", now)))
		refused(t, err, cognito.ErrUnknownKey)
	}
	if got := v.Stats(); got.Keys != 1 || got.Ignored != 4 {
		t.Errorf("counted %+v", got)
	}
}

// TestColdFlood begins with made-up key ids, before any key is known: one fetch,
// and no other before the cooldown is over.
func TestColdFlood(t *testing.T) {
	t.Parallel()
	key := cognitotest.NewKey()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{delay: 100 * time.Millisecond}
		v := inCloud(t, c)
		c.publish(original, "kid-1", key)
		for round, want := range []int{1, 1, 2} {
			var wait sync.WaitGroup
			for range 20 {
				wait.Go(func() {
					if _, err := v.VerifyID(t.Context(), issue(original, rand.Text(), key)); !errors.Is(err, cognito.ErrUnknownKey) {
						t.Errorf("a made-up key: %v", err)
					}
				})
			}
			wait.Wait()
			if got := c.fetched(original); got != want {
				t.Errorf("round %d: %d fetches, want %d", round, got, want)
			}
			time.Sleep(6 * time.Second)
		}
	})
}

// TestTokensOfAnotherApp has the token endpoint answer with a good pair of
// another of the pool's clients.
func TestTokensOfAnotherApp(t *testing.T) {
	t.Parallel()
	p := pool(t)
	id, access := p.Pair("111", now, nil)
	client := answers(func(r *http.Request) string {
		if r.Method == http.MethodPost {
			return fmt.Sprintf(`{"id_token":%q,"access_token":%q}`, id, access)
		}
		return `{"keys":[` + cognitotest.JWK("kid-1", &p.Key("kid-1").PublicKey) + `]}`
	})
	for app, want := range map[string]error{cognitotest.ClientID: nil, "other": cognito.ErrClient} {
		v := verifier(t, p, func(c *cognito.Config) {
			c.HTTPClient, c.App = client, &cognito.App{HostedUI: p.HostedUI, ClientID: app}
		})
		if _, err := v.ExchangeCode(t.Context(), p.Authorize("111", now, nil)); !errors.Is(err, want) {
			t.Errorf("the app %q: %v, want %v", app, err, want)
		}
	}
}
