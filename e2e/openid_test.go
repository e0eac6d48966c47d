package e2e_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

// browser walks through the pages of an OpenID provider as a user does, up to
// the app's callback.
type browser struct {
	client *http.Client
	fields map[string]string // what the user types into a form, by the field's name
}

func newBrowser(t *testing.T, fields map[string]string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	toTheApp := func(req *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(req.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &browser{client: &http.Client{Jar: jar, CheckRedirect: toTheApp}, fields: fields}
}

var (
	formAction = regexp.MustCompile(`(?is)<form[^>]*\baction="([^"]*)"`)
	formField  = regexp.MustCompile(`(?is)<input[^>]*>`)
	attribute  = regexp.MustCompile(`(?is)\b(name|value)="([^"]*)"`)
)

// walk follows redirects and fills in forms until the user is back at the app,
// and returns the parameters that come with them.
func (b *browser) walk(t *testing.T, at string) url.Values {
	t.Helper()
	here, page := b.open(t, http.MethodGet, at, nil)
	for range 20 {
		if strings.HasPrefix(here.String(), callback) {
			return here.Query()
		}
		action := formAction.FindSubmatch(page)
		if action == nil {
			t.Fatalf("there is no form at %s:\n%s", here, page)
		}
		next, err := here.Parse(html.UnescapeString(string(action[1])))
		if err != nil {
			t.Fatal(err)
		}
		here, page = b.open(t, http.MethodPost, next.String(), b.fill(page))
	}
	t.Fatal("there is no end of pages")
	return nil
}

// open sends a request, follows redirects up to the app, and returns where they
// end, and the page.
func (b *browser) open(t *testing.T, method, at string, form url.Values) (here *url.URL, page []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	if to, err := resp.Location(); err == nil {
		return to, nil // the app's callback: all others were followed
	}
	page, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Request.URL, page
}

// fill fills in a page's form.
func (b *browser) fill(page []byte) url.Values {
	form := url.Values{}
	for _, field := range formField.FindAll(page, -1) {
		var name, value string
		for _, a := range attribute.FindAllSubmatch(field, -1) {
			if string(a[1]) == "name" {
				name = string(a[2])
			} else {
				value = html.UnescapeString(string(a[2]))
			}
		}
		if typed, ok := b.fields[name]; ok {
			value = typed
		}
		if name != "" {
			form.Set(name, value)
		}
	}
	return form
}

// openIDProvider is a running OpenID provider.
type openIDProvider struct {
	issuer string
	users  func(name string) map[string]string // what a user types to sign in
}

// startOIDCProvider starts oidc-provider, which is certified by the OpenID
// Foundation. An issuer that is not empty is its address at a proxy.
func startOIDCProvider(t *testing.T, port, issuer string) openIDProvider {
	t.Helper()
	if issuer == "" {
		issuer = "http://127.0.0.1:" + port
	}
	script, err := filepath.Abs("../test/oidc-provider.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node(t), script)
	cmd.Env = append(os.Environ(), "PORT="+port, "ISSUER="+issuer, "REDIRECT_URI="+callback, "JWKS="+privateKeys(t))
	return openIDProvider{
		issuer: program(t, cmd, regexp.MustCompile(`listening at (http://[0-9.:]+)`)),
		users:  func(name string) map[string]string { return map[string]string{"login": name, "password": "any"} },
	}
}

// privateKeys is a JWK Set with a key of each kind that a provider signs with.
func privateKeys(t *testing.T) string {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := jwk.NewSet()
	for kid, private := range map[string]any{"rsa": rsaKey, "ec": ecKey, "ed": edKey} {
		key, err := jwk.Import(private)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{jwk.KeyIDKey: kid, jwk.KeyUsageKey: "sig"} {
			if err := key.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := set.AddKey(key); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// startZitadel starts the provider of zitadel/oidc.
func startZitadel(t *testing.T) openIDProvider {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zitadel")
	if out, err := exec.Command("go", "build", "-C", "../test/zitadel", "-o", path).CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), "REDIRECT_URI="+callback)
	return openIDProvider{
		issuer: program(t, cmd, regexp.MustCompile(`listening at (http://[0-9.:]+/)`)),
		users: func(name string) map[string]string {
			return map[string]string{"username": name, "password": "verysecure"}
		},
	}
}

// signIn goes where Gatehouse says, signs a user in there, and returns what the
// app then has: the body of a code exchange.
func (p openIDProvider) signIn(t *testing.T, s *server, idp, user string) map[string]string {
	t.Helper()
	a := s.send(t, http.MethodGet, "/auth/authorize-url/?idp="+idp+"&redirect_uri="+url.QueryEscape(callback), "", nil)
	if a.status != http.StatusOK {
		t.Fatalf("where to sign in: %d %s\n%s", a.status, a.body, s.log)
	}
	u, err := url.Parse(a.text(t, "url"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, state, nonce := rand.Text()+rand.Text(), rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	query := u.Query()
	for name, value := range map[string]string{
		"state": state, "nonce": nonce, "code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256",
	} {
		query.Set(name, value)
	}
	u.RawQuery = query.Encode()
	back := newBrowser(t, p.users(user)).walk(t, u.String())
	if back.Get("state") != state || back.Get("code") == "" {
		t.Fatalf("the way back has %v", back)
	}
	body := map[string]string{"idp": idp, "code": back.Get("code"), "code_verifier": verifier, "redirect_uri": callback, "nonce": nonce}
	if iss := back.Get("iss"); iss != "" {
		body["iss"] = iss
	}
	return body
}

// redeem exchanges a code at the provider as an app without a secret does, and
// returns the body of a social exchange.
func (p openIDProvider) redeem(t *testing.T, clientID string, code map[string]string) map[string]any {
	t.Helper()
	var metadata struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal([]byte(get(t, strings.TrimSuffix(p.issuer, "/")+"/.well-known/openid-configuration")), &metadata); err != nil {
		t.Fatal(err)
	}
	resp, err := client.PostForm(metadata.TokenEndpoint, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {code["code"]},
		"code_verifier": {code["code_verifier"]}, "redirect_uri": {callback},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	var tokens map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || tokens["id_token"] == nil {
		t.Fatalf("the provider answers %s %v, %v", resp.Status, tokens, err)
	}
	return map[string]any{"id_token": tokens["id_token"], "access_token": tokens["access_token"], "nonce": code["nonce"]}
}

// postJSON posts a body to an operation.
func (s *server) postJSON(t *testing.T, path string, body any) answer {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return s.post(t, path, string(raw))
}
