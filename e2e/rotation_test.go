package e2e_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

// strictCache is a verifier that believes its copy of the keys for as long as it
// was told that it may, and asks for no key in between.
type strictCache struct {
	url    string
	client *http.Client

	mu    sync.Mutex
	keys  jwk.Set
	until time.Time
}

// key returns a key of the copy, which may be nil.
func (c *strictCache) key(t *testing.T, id string) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !time.Now().Before(c.until) {
		resp, err := c.client.Get(c.url)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer resp.Body.Close() //nolint:errcheck // read to the end
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
			return nil
		}
		_, age, _ := strings.Cut(resp.Header.Get("Cache-Control"), "max-age=")
		seconds, err := strconv.Atoi(age)
		if err != nil {
			t.Errorf("Cache-Control is %q", resp.Header.Get("Cache-Control"))
			return nil
		}
		if c.keys, err = jwk.Parse(body); err != nil {
			t.Error(err)
			return nil
		}
		c.until = time.Now().Add(time.Duration(seconds) * time.Second)
	}
	key, there := c.keys.LookupKeyID(id)
	if !there {
		return nil
	}
	var public any
	if err := jwk.Export(key, &public); err != nil {
		t.Error(err)
	}
	return public
}

func (c *strictCache) takes(t *testing.T, token string) bool {
	key := c.key(t, tokenKey(t, token))
	_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{"ES256"}))
	return key != nil && err == nil
}

// TestKeyRotationUnderLoad rotates the keys of two servers on one Postgres while
// both issue tokens without a pause, and services verify them that know the keys
// each in its own way. No token is refused, by any of them, at any time.
func TestKeyRotationUnderLoad(t *testing.T) {
	t.Parallel()
	const rotations, clients = 3, 4
	settings := map[string]string{
		"GATEHOUSE_DATABASE_URL": newCluster(t).dsn(), "GATEHOUSE_KEYS_JWKS_MAX_AGE": "3s", "GATEHOUSE_TOKENS_LEEWAY": "0s",
	}
	s := startSite(t, settings, "--migrate")
	second := s.replica(t)

	// jose keeps a copy for ten minutes unless it is told otherwise, and asks for unknown keys every 30 seconds at most.
	dir := nodeService(t)
	source, err := os.ReadFile(filepath.Join(dir, "jose.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Replace(string(source), ", issuer));", ", issuer), { cacheMaxAge: 3000 });", 1)
	if told == string(source) {
		t.Fatal("jose.mjs is of another form")
	}
	if err := os.WriteFile(filepath.Join(dir, "jose.mjs"), []byte(told), 0o600); err != nil {
		t.Fatal(err)
	}
	services := map[string]*server{
		"verify": s.example(t, "go-service"), "simplejwt": s.example(t, "django-service"), "jose": s.example(t, dir),
		"aws-jwt-verify": s.example(t, "node-service", "VERIFIER=aws-jwt-verify"),
	}
	strict := &strictCache{url: s.issuer + "/.well-known/jwks.json", client: s.front.Client()}
	everybodyTakes := func(token string) {
		var wait sync.WaitGroup
		for name, service := range services {
			wait.Go(func() {
				if a := service.me(t, token); a.status != http.StatusOK {
					t.Errorf("%s refuses a token of %s: %d %s", name, tokenKey(t, token), a.status, a.body)
				}
			})
		}
		if !strict.takes(t, token) {
			t.Errorf("a strict cache refuses a token of %s", tokenKey(t, token))
		}
		wait.Wait()
	}

	var mu sync.Mutex
	first := map[string]string{} // a token of each key that has signed
	issued := 0
	rotated := make(chan struct{}, 100) // told of each key that begins to sign
	done := make(chan struct{})
	var load sync.WaitGroup
	for i := range clients {
		from := []*server{s.server, second}[i%2]
		load.Go(func() {
			for !t.Failed() {
				select {
				case <-done:
					return
				default:
				}
				token := from.signIn(t, "alice", "correct horse battery").text(t, "access_token")
				mu.Lock()
				issued++
				if id := tokenKey(t, token); first[id] == "" {
					first[id] = token
					rotated <- struct{}{}
				}
				mu.Unlock()
				everybodyTakes(token)
			}
		})
	}
	finish := sync.OnceFunc(func() { close(done); load.Wait() })
	defer finish()
	for n := range rotations + 1 {
		select {
		case <-rotated:
		case <-time.After(2 * time.Minute):
			t.Errorf("after two minutes %d keys have signed", n)
		}
		if t.Failed() {
			break
		}
		if n < rotations {
			s.command(t, "", "key", "rotate")
		}
	}
	finish()
	for _, token := range first { // also of keys that have retired: it has not expired
		everybodyTakes(token)
	}
	t.Logf("%d tokens of %d keys, each verified by %d services", issued, len(first), len(services)+1)
}
