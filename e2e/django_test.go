package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// startDjango runs the service of testdata/django with Debian's Python.
func startDjango(t *testing.T, env ...string) *server {
	t.Helper()
	cmd := exec.Command("/usr/bin/gunicorn", "--bind", "127.0.0.1:0", "--worker-tmp-dir", t.TempDir(), "service:application")
	cmd.Dir = "testdata/django"
	cmd.Env = append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), env...)
	return &server{url: program(t, cmd, regexp.MustCompile(`Listening at: (http://[0-9.:]+)`)), log: &logBuffer{}}
}

func TestDjangoVerifiesAccessTokens(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"HS256", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			s := start(t, map[string]string{
				"GATEHOUSE_ISSUER": "https://auth.example.test", "GATEHOUSE_TOKENS_AUDIENCE": `["orders"]`,
				"GATEHOUSE_TOKENS_ALGORITHM": algorithm,
				"GATEHOUSE_CLAIMS":           `[{"name":"department","attribute":"attributes.department"}]`,
			})
			s.command(t, "correct horse battery\n", "user", "add", "alice", "--password-stdin", "--attributes", `{"department":"sales"}`)
			env := []string{"ALGORITHM=" + algorithm, "ISSUER=https://auth.example.test", "AUDIENCE=orders"}
			if algorithm == "HS256" {
				env = append(env, "SECRET_KEY="+goldenSecret)
			} else {
				env = append(env, "JWK_URL="+s.url+"/.well-known/jwks.json")
			}
			django := startDjango(t, env...)
			granted := s.signIn(t, "alice", "correct horse battery")
			token := granted.text(t, "access_token")

			for _, c := range []struct {
				sentence, authorization string
				status                  int
			}{
				{"an access token is accepted", "Bearer " + token, http.StatusOK},
				{"no token is refused", "", http.StatusUnauthorized},
				{"a token with a changed signature is refused", "Bearer " + spoil(token), http.StatusUnauthorized},
				{"a refresh token is no access token", "Bearer " + granted.cookie("refresh_cookie"), http.StatusUnauthorized},
			} {
				a := django.send(t, http.MethodGet, "/me", "", http.Header{"Authorization": {c.authorization}})
				if a.status != c.status {
					t.Errorf("%s: %d %s", c.sentence, a.status, a.body)
				}
				if a.status != http.StatusOK {
					continue
				}
				var me struct{ ID, Department string }
				if err := json.Unmarshal(a.body, &me); err != nil {
					t.Fatal(err)
				}
				if me.ID == "" || me.Department != "sales" {
					t.Errorf("%s: Django sees %+v", c.sentence, me)
				}
			}
		})
	}
}

// spoil changes a character in the middle of a token's signature.
func spoil(token string) string {
	b := []byte(token)
	i := len(b) - 10
	if b[i]++; b[i] > 'y' || b[i] < 'a' {
		b[i] = 'a'
	}
	return string(b)
}
