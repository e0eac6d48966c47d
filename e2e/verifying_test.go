package e2e_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// accessTokens returns what docs/verifying.md tells a service in Go to do.
func accessTokens(ctx context.Context, issuer, keysURL string) (func(*http.Request) (jwt.Token, error), error) {
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		return nil, err
	}
	if err := cache.Register(ctx, keysURL, jwk.WithConstantInterval(5*time.Minute)); err != nil {
		return nil, err
	}
	keys, err := cache.CachedSet(keysURL)
	return func(r *http.Request) (jwt.Token, error) {
		return jwt.ParseRequest(r, jwt.WithKeySet(keys), jwt.WithIssuer(issuer), jwt.WithAudience("api"),
			jwt.WithClaimValue("token_type", "access"), jwt.WithRequiredClaim("exp"))
	}, err
}

// TestGoVerifiesAccessTokens runs the Go of docs/verifying.md, which must be the
// function above.
func TestGoVerifiesAccessTokens(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/verifying.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("verifying_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := bytes.Cut(document, []byte("```go\n"))
	shown, _, found := bytes.Cut(shown, []byte("```"))
	if !found || !bytes.Contains(source, shown) {
		t.Error("docs/verifying.md shows other Go than this test runs")
	}

	const issuer = "https://auth.example.test"
	s := start(t, map[string]string{"GATEHOUSE_ISSUER": issuer, "GATEHOUSE_TOKENS_AUDIENCE": `["api"]`})
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	granted := s.signIn(t, "alice", "correct horse battery")
	token := granted.text(t, "access_token")
	for _, tc := range []struct {
		sentence, issuer, token string
		good                    bool
	}{
		{"an access token is accepted", issuer, token, true},
		{"a token with a changed signature is refused", issuer, spoil(token), false},
		{"a refresh token is no access token", issuer, granted.cookie("refresh_cookie"), false},
		{"an unsigned token is refused", issuer, "eyJhbGciOiJub25lIn0." + strings.Split(token, ".")[1] + ".", false},
		{"a token of another issuer is refused", "https://other.example.test", token, false},
	} {
		verify, err := accessTokens(t.Context(), tc.issuer, s.url+"/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+tc.token)
		verified, err := verify(r)
		if (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.sentence, err)
		}
		if err != nil {
			continue
		}
		var userID string
		if err := verified.Get("user_id", &userID); err != nil || userID == "" {
			t.Errorf("the user is %q, %v", userID, err)
		}
	}
}

// TestNodeVerifiesAccessTokens runs the JavaScript of docs/verifying.md.
func TestNodeVerifiesAccessTokens(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/verifying.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(document), "```js\n")
	shown, _, _ = strings.Cut(shown, "```")
	const site = "https://auth.example.com"
	s := start(t, map[string]string{"GATEHOUSE_ISSUER": site, "GATEHOUSE_TOKENS_AUDIENCE": `["api"]`})
	s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin")
	granted := s.signIn(t, "alice", "correct horse battery")
	token := granted.text(t, "access_token")

	dir := t.TempDir()
	modules, err := filepath.Abs("../test/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := "const token = process.env.TOKEN;\n" + strings.Replace(shown, site+"/.well-known", s.url+"/.well-known", 1) +
		"console.log(`the user is ${payload.user_id}`);\n"
	if err := os.WriteFile(filepath.Join(dir, "verify.mjs"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		sentence, token, says string
		good                  bool
	}{
		{"an access token is accepted", token, "the user is 0", true},
		{"a token with a changed signature is refused", spoil(token), "signature verification failed", false},
		{"a refresh token is no access token", granted.cookie("refresh_cookie"), `"alg" (Algorithm) Header Parameter value not allowed`, false},
	} {
		cmd := exec.CommandContext(t.Context(), node(t), "verify.mjs")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TOKEN="+tc.token)
		output, err := cmd.CombinedOutput()
		if (err == nil) != tc.good || !strings.Contains(string(output), tc.says) {
			t.Errorf("%s: %v, %s", tc.sentence, err, output)
		}
	}
}
