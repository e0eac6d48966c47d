package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
)

// saying returns the results of the checks that begin with a name.
func saying(found findings, check string) string {
	var results []string
	for _, f := range found {
		if strings.HasPrefix(f.Check, check) {
			results = append(results, f.Result)
		}
	}
	return strings.Join(results, ", ")
}

// TestBrowsers predicts what browsers do; each case was seen in Chromium, or is a
// rule of RFC 6265.
func TestBrowsers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(c *config.Config)
		check  string
		want   string
	}{
		"the defaults, on this machine": {func(*config.Config) {}, "cookies", "ok, ok, ok, ok"},
		"https":                         {func(c *config.Config) { c.Issuer = "https://auth.example.com" }, "cookies: secure", isOK},
		"https, not Secure":             {func(c *config.Config) { c.Issuer, c.Cookies.Secure = "https://auth.example.com", false }, "cookies: secure", isWarning},
		"Secure over http":              {func(c *config.Config) { c.Issuer = "http://auth.example.com" }, "cookies: secure", isFailed},
		"nothing over http":             {func(c *config.Config) { c.Cookies.Secure = false }, "cookies: secure", isWarning},
		"a path beside":                 {func(c *config.Config) { c.Cookies.Path = "/aut" }, "cookies: path", isFailed},
		"a path below":                  {func(c *config.Config) { c.Cookies.Path = "/auth/refresh" }, "cookies: path", isFailed},
		"the root":                      {func(c *config.Config) { c.Cookies.Path = "/" }, "cookies: path", isOK},
		"the path with a slash":         {func(c *config.Config) { c.Cookies.Path = "/auth/" }, "cookies: path", isOK},
		"hardened":                      {func(c *config.Config) { c.Cookies.Profile, c.Cookies.Path = "hardened", "/x" }, "cookies: path", isOK},
		"a domain above":                {func(c *config.Config) { c.Issuer, c.Cookies.Domain = "https://auth.example.com", ".example.com" }, "cookies: domain", isWarning},
		"a domain beside":               {func(c *config.Config) { c.Issuer, c.Cookies.Domain = "https://auth.example.com", "ample.com" }, "cookies: domain", isFailed},
		"a public suffix":               {func(c *config.Config) { c.Issuer, c.Cookies.Domain = "https://auth.co.uk", "co.uk" }, "cookies: domain", isFailed},
		"a domain of an address":        {func(c *config.Config) { c.Issuer, c.Cookies.Domain = "http://127.0.0.1", "0.1" }, "cookies: domain", isFailed},
		"no issuer":                     {func(c *config.Config) { c.Issuer = "x" }, "cookies", notReached},

		"another port":                    {pages("http://localhost:5173"), "cookies: from", isOK},
		"the own origin":                  {pages("http://localhost:8080"), "cookies: from", isOK},
		"localhost and its address":       {pages("http://127.0.0.1:8080"), "cookies: from", isFailed},
		"two names of localhost":          {pagesOf("http://api.localhost:1", "strict", "http://app.localhost:1"), "cookies: from", isFailed},
		"one site, strict":                {pagesOf("https://auth.example.com", "strict", "https://app.example.com"), "cookies: from", isOK},
		"another site, strict":            {pagesOf("https://auth.example.com", "strict", "https://app.example.org"), "cookies: from", isFailed},
		"another site, lax":               {pagesOf("https://auth.example.com", "lax", "https://app.example.org"), "cookies: from", isFailed},
		"another site, none":              {pagesOf("https://auth.example.com", "none", "https://app.example.org"), "cookies: from", isWarning},
		"http and https are two sites":    {pagesOf("https://auth.example.com", "strict", "http://app.example.com"), "cookies: from", isFailed},
		"two customers of a host":         {pagesOf("https://a.github.io", "strict", "https://b.github.io"), "cookies: from", isFailed},
		"a page over http":                {pagesOf("https://auth.example.com", "strict", "http://app.example.com"), "cors", isWarning},
		"a page over http, here":          {pages("http://localhost:5173"), "cors", ""},
		"a page that is no origin":        {pages("x"), "cookies: from", notReached},
		"metrics off":                     {func(*config.Config) {}, "metrics", isOK},
		"metrics here":                    {func(c *config.Config) { c.MetricsListen = "127.0.0.1:9090" }, "metrics", isOK},
		"metrics for all":                 {func(c *config.Config) { c.MetricsListen = ":9090" }, "metrics", isWarning},
		"metrics where the service is":    {func(c *config.Config) { c.MetricsListen = c.Listen }, "metrics", isFailed},
		"an issuer that nobody reaches":   {func(c *config.Config) { c.Listen = "0.0.0.0:80" }, "issuer", isWarning},
		"an issuer":                       {func(c *config.Config) { c.Listen, c.Issuer = "0.0.0.0:80", "https://auth.example.com" }, "issuer", ""},
		"no proxy":                        {func(*config.Config) {}, "trusted_proxies", isOK},
		"https without a known proxy":     {func(c *config.Config) { c.Issuer = "https://auth.example.com" }, "trusted_proxies", isWarning},
		"a proxy":                         {proxies("10.0.0.0/8"), "trusted_proxies", isOK},
		"everybody is a proxy":            {proxies("10.0.0.0/8", "0.0.0.0/0"), "trusted_proxies", isFailed},
		"everybody is a proxy, version 6": {proxies("::/0"), "trusted_proxies", isFailed},
	} {
		c := config.Default()
		tc.change(&c)
		var found findings
		found.cookies(c)
		found.exposure(c)
		if got := saying(found, tc.check); got != tc.want {
			t.Errorf("%s: %q, want %q of\n%s", name, got, tc.want, found.text())
		}
	}
}

func pages(origins ...string) func(*config.Config) {
	return func(c *config.Config) { c.CORS.Origins = origins }
}

func pagesOf(issuer, sameSite string, origins ...string) func(*config.Config) {
	return func(c *config.Config) { c.Issuer, c.Cookies.SameSite, c.CORS.Origins = issuer, sameSite, origins }
}

func proxies(networks ...string) func(*config.Config) {
	return func(c *config.Config) {
		for _, n := range networks {
			c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

// answering serves one body, with the headers that are given.
func answering(t *testing.T, body string, headers ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const oneKey = `{"kty":"EC","crv":"P-256","kid":"good","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`

func TestProviders(t *testing.T) {
	t.Parallel()
	late := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	for name, tc := range map[string]struct {
		url   string
		clock string
	}{
		"its clock is slow":           {answering(t, `{"keys":[`+oneKey+`,{"kty":"RSA","kid":"enc\u001b","use":"enc"}]}`, "Date", late), isFailed},
		"its answer is from a cache":  {answering(t, `{"keys":[`+oneKey+`,{"kty":"RSA","kid":"enc\u001b","use":"enc"}]}`, "Date", late, "Age", "3600"), isOK},
		"its clock is right":          {answering(t, `{"keys":[`+oneKey+`,{"kty":"RSA","kid":"enc\u001b","use":"enc"}]}`), isOK},
		"it does not say what day is": {answering(t, `{"keys":[`+oneKey+`,{"kty":"RSA","kid":"enc\u001b","use":"enc"}]}`, "Date", "x"), ""},
	} {
		c := config.Default()
		c.IDPs = []config.IDP{{Name: "a", Type: "oidc", Issuer: tc.url, JWKSURL: tc.url + "/keys", AuthorizationEndpoint: tc.url, TokenEndpoint: tc.url,
			ClientIDs: []string{"c"}, Algorithms: []string{"ES256"}}}
		var found findings
		found.providers(t.Context(), c)
		text := found.text()
		if got := saying(found, "identity provider a: clock"); got != tc.clock {
			t.Errorf("%s: %q\n%s", name, got, text)
		}
		if got := saying(found, "identity provider a: keys"); got != isWarning || !strings.Contains(text, "it is not for signatures") || strings.Contains(text, "\x1b") {
			t.Errorf("%s: the key that can't be used: %q\n%s", name, got, text)
		}
	}
}

func TestIssuerAsked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		url     string
		signers []string
		want    string
	}{
		"all keys":        {answering(t, `{"keys":[{"kid":"a"},{"kid":"b"}]}`), []string{"a"}, isOK},
		"another's keys":  {answering(t, `{"keys":[{"kid":"b"}]}`), []string{"a"}, isFailed},
		"a page":          {answering(t, `<html>`), nil, isFailed},
		"nobody":          {"http://127.0.0.1:1", nil, isFailed},
		"unknown signers": {answering(t, `{"keys":[]}`), nil, isOK},
	} {
		c := config.Default()
		c.Issuer = tc.url
		var found findings
		found.issuer(t.Context(), c, tc.signers)
		if got := saying(found, "issuer"); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestCuresAreDocumented holds docs/cognito.md to the words of doctor.
func TestCuresAreDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/cognito.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cures {
		if row := "| " + reason(c.err); !strings.Contains(string(raw), row) {
			t.Errorf("docs/cognito.md has no row %q", row)
		} else if line, _, _ := strings.Cut(string(raw)[strings.Index(string(raw), row):], "\n"); !strings.Contains(line, c.cure) {
			t.Errorf("docs/cognito.md says %q, doctor %q", line, c.cure)
		}
	}
}
