package cookie_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/cookie"
	"github.com/google/go-cmp/cmp"
)

type verdict struct {
	OK    bool
	Value string
	Error string
}

type vectors struct {
	Vectors []struct {
		Note      string
		SecretKey string `json:"secret_key"`
		Name      string `json:"cookie_name"`
		Salt      string
		Value     string
		Timestamp *int64
		HMAC      string
		Cookie    string
		Header    string  `json:"set_cookie_header"`
		Reparsed  string  `json:"reparsed"`
		Django42  verdict `json:"django_4.2"`
	}
	MaxAge struct {
		Cases []struct {
			Now      int64
			MaxAge   int64   `json:"max_age"`
			Django42 verdict `json:"django_4.2"`
		}
	} `json:"max_age"`
}

func load(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func signer(t *testing.T, c cookie.Config) *cookie.Signer {
	t.Helper()
	s, err := cookie.NewSigner(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDjangoVectors holds both directions to what Django wrote and said.
func TestDjangoVectors(t *testing.T) {
	t.Parallel()
	var v vectors
	load(t, "cookies.json", &v)
	if len(v.Vectors) < 15 {
		t.Fatalf("%d vectors", len(v.Vectors))
	}
	for _, tc := range v.Vectors {
		t.Run(tc.Note, func(t *testing.T) {
			t.Parallel()
			s := signer(t, cookie.Config{Name: tc.Name, Salt: tc.Salt, Secret: tc.SecretKey})
			value, _, err := s.Unsign(tc.Cookie)
			if (err == nil) != tc.Django42.OK || tc.Django42.OK && value != tc.Value {
				t.Errorf("Unsign gave %q, %v; Django 4.2 says %+v", value, err, tc.Django42)
			}
			if err != nil && !errors.Is(err, cookie.ErrBadSignature) {
				t.Errorf("the error is %v", err)
			}
			if tc.Django42.OK {
				if got := s.Sign(tc.Value, time.Unix(*tc.Timestamp, 0)); got != tc.Cookie {
					t.Errorf("Sign gave %q, Django wrote %q", got, tc.Cookie)
				}
			}
			other := signer(t, cookie.Config{Name: tc.Name, Salt: tc.Salt, Secret: "new", Fallbacks: []string{"older", tc.SecretKey}})
			if _, _, err := other.Unsign(tc.Cookie); (err == nil) != tc.Django42.OK {
				t.Errorf("as a fallback the secret gives %v", err)
			}
			if tc.Header != "" {
				sent := strings.SplitN(tc.Header, "; Path=", 2)[0]
				if diff := cmp.Diff([]string{tc.Reparsed}, cookie.Values(http.Header{"Cookie": {sent}}, tc.Name)); diff != "" {
					t.Errorf("Values (-Django +got):\n%s", diff)
				}
			}
		})
	}
}

func TestDjangoMaxAge(t *testing.T) {
	t.Parallel()
	var v vectors
	load(t, "cookies.json", &v)
	first := v.Vectors[0]
	s := signer(t, cookie.Config{Name: first.Name, Salt: first.Salt, Secret: first.SecretKey})
	for _, tc := range v.MaxAge.Cases {
		value, err := s.UnsignWithin(first.Cookie, time.Duration(tc.MaxAge)*time.Second, time.Unix(tc.Now, 0))
		if (err == nil) != tc.Django42.OK || err == nil && value != first.Value || err != nil && !errors.Is(err, cookie.ErrExpired) {
			t.Errorf("now %d, max age %d: %q, %v; Django says %+v", tc.Now, tc.MaxAge, value, err, tc.Django42)
		}
	}
	if _, err := s.UnsignWithin("x", time.Hour, time.Unix(0, 0)); !errors.Is(err, cookie.ErrBadSignature) {
		t.Errorf("rubbish is %v", err)
	}
}

func TestBase62(t *testing.T) {
	t.Parallel()
	s := signer(t, cookie.Config{Name: "c", Secret: "s"})
	for _, seconds := range []int64{0, 1, 61, 62, -1, -3843, 1700000000, 1 << 40} {
		at := time.Unix(seconds, 0)
		if _, got, err := s.Unsign(s.Sign("v:w", at)); err != nil || !got.Equal(at) {
			t.Errorf("signed at %d, read %v, %v", seconds, got, err)
		}
	}
}

func TestDuplicatesAreAllTried(t *testing.T) {
	t.Parallel()
	j := jar(t, nil)
	now := time.Unix(1700000000, 0)
	a, b := j.Sign("a", now), j.Sign("b", now)
	h := http.Header{"Cookie": {
		"other=1; refresh_cookie=" + a + "; refresh_cookie=bad;refresh_cookie = " + b + "; refresh_cookie2=" + a,
		`x; refresh_cookie="` + a + `"; refresh_cookie=`,
	}}
	if diff := cmp.Diff([]string{"a", "b", "a"}, j.Read(h)); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// TestNamesAreExact puts other blanks before a name than browsers take away: they
// let anybody set such a cookie, for it has no prefix to them.
func TestNamesAreExact(t *testing.T) {
	t.Parallel()
	j := jar(t, func(c *cookie.JarConfig) { c.Name, c.Path = "__Host-refresh", "/" })
	signed := j.Sign("a", time.Unix(1700000000, 0))
	for blank, want := range map[string][]string{
		"": {"a"}, " ": {"a"}, "\t ": {"a"}, "\u2000": nil, "\u00a0": nil, "\u0085": nil, "\u3000": nil, "\v": nil, "\f": nil, "\r": nil, "\n": nil,
	} {
		for _, sent := range []string{blank + "__Host-refresh=" + signed, "__Host-refresh" + blank + "=" + signed} {
			if diff := cmp.Diff(want, j.Read(http.Header{"Cookie": {"b=c;" + sent}})); diff != "" {
				t.Errorf("%q (-want +got):\n%s", sent, diff)
			}
		}
	}
}

func TestUnquote(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		`"a\"b"`: `a"b`, `"a\\b"`: `a\b`, `"\054\073"`: ",;", `"\344"`: "ä", `"\303\244"`: "Ã¤", "\"\\344\u2713\"": "ä✓", `"`: `"`, `""`: "", `"\`: `"\`, `"\"`: `\`, `"\9"`: "9", `"\400"`: "400",
		`a"b`: `a"b`,
	} {
		if diff := cmp.Diff([]string{want}, cookie.Values(http.Header{"Cookie": {"c=" + sent}}, "c")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sent, diff)
		}
	}
}

// TestPythonQuotesText holds a signed value that is not ASCII to what Python's
// http.cookies sends for it.
func TestPythonQuotesText(t *testing.T) {
	t.Parallel()
	j := jar(t, nil)
	sent := "\"" + strings.Replace(j.Sign("ä", time.Unix(1700000000, 0)), "ä", `\344`, 1) + "\""
	if diff := cmp.Diff([]string{"ä"}, j.Read(http.Header{"Cookie": {"refresh_cookie=" + sent}})); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

// jar is the refresh cookie of the seed's profile, changed by the test.
func jar(t *testing.T, change func(*cookie.JarConfig)) *cookie.Jar {
	t.Helper()
	c := cookie.JarConfig{
		Config:     cookie.Config{Name: "refresh_cookie", Salt: "extra", Secret: "secret"},
		Attributes: cookie.Attributes{Path: "/auth", Secure: true, SameSite: http.SameSiteStrictMode},
	}
	if change != nil {
		change(&c)
	}
	j, err := cookie.NewJar(c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 0, 51, 12, 0, time.UTC)
	j := jar(t, nil)
	want := "refresh_cookie=" + j.Sign("v", now) +
		"; Path=/auth; Expires=Wed, 25 Nov 2026 00:51:12 GMT; Max-Age=86400; HttpOnly; Secure; SameSite=Strict"
	if got := j.Set("v", now.Add(24*time.Hour), now); got != want {
		t.Errorf("set:\n got %s\nwant %s", got, want)
	}
	want = "refresh_cookie=; Path=/auth; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Strict"
	if got := j.Delete(); got != want {
		t.Errorf("deleted:\n got %s\nwant %s", got, want)
	}
	for lifetime, want := range map[time.Duration]string{1999 * time.Millisecond: "Max-Age=1;", 999 * time.Millisecond: "Max-Age=0;", -time.Hour: "Max-Age=0;"} {
		if got := j.Set("v", now.Add(lifetime), now); !strings.Contains(got, want) {
			t.Errorf("a lifetime of %v became %s, want %s", lifetime, got, want)
		}
	}
}

// TestAsNetHTTPWritesIt holds what Set writes to net/http's own.
func TestAsNetHTTPWritesIt(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 0, 51, 12, 345, time.FixedZone("", 3600))
	for _, a := range []cookie.Attributes{
		{Path: "/", SameSite: http.SameSiteLaxMode},
		{Path: "/a b", Domain: "example.org", Secure: true, SameSite: http.SameSiteNoneMode},
		{Path: "/auth", Domain: ".example.org", SameSite: http.SameSiteStrictMode},
	} {
		j := jar(t, func(c *cookie.JarConfig) { c.Attributes = a })
		want := http.Cookie{
			Name: "refresh_cookie", Value: j.Sign("v", now), Path: a.Path, Domain: a.Domain, Expires: now.Add(time.Hour), MaxAge: 3600,
			HttpOnly: true, Secure: a.Secure, SameSite: a.SameSite,
		}
		if got := j.Set("v", now.Add(time.Hour), now); got != want.String() {
			t.Errorf("set:\n got %s\nwant %s", got, &want)
		}
	}
}

func TestConfigurationsThatBrowsersDrop(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*cookie.JarConfig){
		"no name":                      func(c *cookie.JarConfig) { c.Name = "" },
		"no secret":                    func(c *cookie.JarConfig) { c.Secret = "" },
		"an empty fallback":            func(c *cookie.JarConfig) { c.Fallbacks = []string{""} },
		"no path":                      func(c *cookie.JarConfig) { c.Path = "" },
		"no SameSite":                  func(c *cookie.JarConfig) { c.SameSite = 0 },
		"SameSite=None without Secure": func(c *cookie.JarConfig) { c.SameSite, c.Secure = http.SameSiteNoneMode, false },
		"__Secure- without Secure":     func(c *cookie.JarConfig) { c.Name, c.Secure = "__Secure-r", false },
		"__Host- with a path":          func(c *cookie.JarConfig) { c.Name = "__Host-r" },
		"__Host- with a domain":        func(c *cookie.JarConfig) { c.Name, c.Path, c.Domain = "__Host-r", "/", "example.test" },
		"__SECURE- without Secure":     func(c *cookie.JarConfig) { c.Name, c.Secure = "__SECURE-r", false },
		"__host- with a path":          func(c *cookie.JarConfig) { c.Name = "__host-r" },
		"a name with a blank":          func(c *cookie.JarConfig) { c.Name = "a b" },
		"a path with a semicolon":      func(c *cookie.JarConfig) { c.Path = "/a;b" },
	}
	for name, change := range tests {
		c := cookie.JarConfig{
			Config:     cookie.Config{Name: "r", Secret: "secret"},
			Attributes: cookie.Attributes{Path: "/auth", Secure: true, SameSite: http.SameSiteStrictMode},
		}
		change(&c)
		if _, err := cookie.NewJar(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	jar(t, func(c *cookie.JarConfig) { c.Name, c.Path = "__Host-refresh", "/" })
}

func TestCSRFVectors(t *testing.T) {
	t.Parallel()
	var v struct {
		Vectors []struct {
			Secret, Token string
			Other         string `json:"same_secret_other_mask"`
		}
	}
	load(t, "csrf.json", &v)
	if len(v.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, tc := range v.Vectors {
		for _, token := range []string{tc.Token, tc.Other} {
			if got, ok := cookie.Unmask(token); !ok || got != tc.Secret {
				t.Errorf("Unmask(%s) = %q, %t; want %q", token, got, ok, tc.Secret)
			}
		}
		masked, err := cookie.Mask(tc.Secret)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := cookie.Unmask(masked); !ok || got != tc.Secret || masked == tc.Token {
			t.Errorf("masked anew it is %q, %t", got, ok)
		}
	}
}

func TestCSRF(t *testing.T) {
	t.Parallel()
	c := cookie.NewCSRF([]byte("key"))
	token := c.Token("session 1")
	tests := []struct {
		name, token, session string
		want                 bool
	}{
		{"its own", token, "session 1", true},
		{"another mask of it", c.Token("session 1"), "session 1", true},
		{"another session's", token, "session 2", false},
		{"none", "", "session 1", false},
		{"the secret without a mask", token[32:], "session 1", false},
		{"a character outside the alphabet", "!" + token[1:], "session 1", false},
		{"one outside the alphabet at the end", token[:63] + "é"[:1], "session 1", false},
		{"one character changed", swapLast(token), "session 1", false},
		{"something behind it", token + "a", "session 1", false},
	}
	for _, tc := range tests {
		if got := c.Check(tc.token, tc.session); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
	if c.Token("session 1") == token {
		t.Error("a token is the same twice")
	}
	rotated := cookie.NewCSRF([]byte("new key"), []byte("key"))
	if !rotated.Check(token, "session 1") || !rotated.Check(rotated.Token("session 1"), "session 1") || c.Check(rotated.Token("session 1"), "session 1") {
		t.Error("a former key must verify, and only the first one sign")
	}
}

func TestMaskRefusesWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "short", strings.Repeat("!", 32)} {
		if _, err := cookie.Mask(secret); !errors.Is(err, cookie.ErrSecretLength) {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestNewCSRFNeedsAKey(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no key, and no panic")
		}
	}()
	cookie.NewCSRF()
}

func swapLast(s string) string {
	last := byte('a')
	if s[len(s)-1] == last {
		last = 'b'
	}
	return s[:len(s)-1] + string(last)
}

func FuzzUnsign(f *testing.F) {
	s, err := cookie.NewSigner(cookie.Config{Name: "c", Salt: "extra", Secret: "secret"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Sign("value", time.Unix(1700000000, 0)))
	f.Add("a:b:c")
	f.Fuzz(func(t *testing.T, signed string) {
		if value, at, err := s.Unsign(signed); err == nil && s.Sign(value, at) != signed {
			t.Errorf("%q was taken, and is signed as %q", signed, s.Sign(value, at))
		}
	})
}

func FuzzValues(f *testing.F) {
	f.Add(`c="a\054b"; c=x`)
	f.Fuzz(func(_ *testing.T, line string) {
		cookie.Values(http.Header{"Cookie": {line}}, "c")
	})
}

func FuzzCheck(f *testing.F) {
	c := cookie.NewCSRF([]byte("key"))
	f.Add(c.Token("s"))
	f.Fuzz(func(t *testing.T, token string) {
		if c.Check(token, "s") && len(token) != 64 {
			t.Errorf("%q is taken", token)
		}
	})
}

func ExampleJar() {
	j, err := cookie.NewJar(cookie.JarConfig{
		Config:     cookie.Config{Name: "refresh_cookie", Salt: "extra", Secret: "the SECRET_KEY that Django has"},
		Attributes: cookie.Attributes{Path: "/auth", Secure: true, SameSite: http.SameSiteStrictMode},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Unix(1700000000, 0)
	set := j.Set("token", now.Add(time.Hour), now)
	pair, _, _ := strings.Cut(set, ";")
	fmt.Println(j.Read(http.Header{"Cookie": {pair}}))
	// Output: [token]
}

func BenchmarkUnsign(b *testing.B) {
	s, err := cookie.NewSigner(cookie.Config{Name: "refresh_cookie", Salt: "extra", Secret: "secret"})
	if err != nil {
		b.Fatal(err)
	}
	signed := s.Sign(strings.Repeat("x", 300), time.Unix(1700000000, 0))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := s.Unsign(signed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s, err := cookie.NewSigner(cookie.Config{Name: "refresh_cookie", Salt: "extra", Secret: "secret"})
	if err != nil {
		b.Fatal(err)
	}
	value, at := strings.Repeat("x", 300), time.Unix(1700000000, 0)
	b.ReportAllocs()
	for b.Loop() {
		s.Sign(value, at)
	}
}

func BenchmarkCSRF(b *testing.B) {
	c := cookie.NewCSRF([]byte("a key"))
	const session = "0193a000-0000-7000-8000-000000000001"
	token := c.Token(session)
	b.Run("token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Token(session)
		}
	})
	b.Run("check", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !c.Check(token, session) {
				b.Fatal("refused")
			}
		}
	})
}
