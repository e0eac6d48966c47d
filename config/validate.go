package config

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// minSecret is how many bytes a secret has at least.
const minSecret = 32

// reservedClaims are the names that the token service writes itself, in a token's claims or in its header.
var reservedClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "token_type", "kid", "alg", "typ"}

// userFields are the members that `user` in the answers can have.
var userFields = []string{
	"id", "username", "email", "email_verified", "first_name", "last_name", "is_active", "is_staff", "is_superuser",
	"date_joined", "last_login", "attributes",
}

// Validate checks what a running server needs, and reports every mistake. A
// setting that protects something is never silently off.
func (c Config) Validate() error {
	var k checker
	k.secrets(c)
	k.service(c)
	k.tokens(c)
	k.keys(c)
	k.cookies(c)
	k.claims(c)
	k.idps(c)
	k.limits(c)
	k.revocations(c)
	k.forward(c)
	return errors.Join(k.errs...)
}

// checker collects the mistakes.
type checker struct{ errs []error }

func (k *checker) demand(ok bool, format string, args ...any) {
	if !ok {
		k.errs = append(k.errs, fmt.Errorf("config: "+format, args...))
	}
}

func (k *checker) oneOf(key, value string, allowed ...string) {
	k.demand(slices.Contains(allowed, value), "%s must be one of %s", key, strings.Join(allowed, ", "))
}

func (k *checker) secrets(c Config) {
	k.demand(c.Secret != "", "secret is required; make one with: openssl rand -base64 48")
	k.demand(c.Secret == "" || len(c.Secret) >= minSecret, "secret must have at least %d bytes", minSecret)
	for i, s := range c.SecretFallbacks {
		k.demand(len(s) >= minSecret, "secret_fallbacks[%d] must have at least %d bytes", i, minSecret)
	}
}

func (k *checker) service(c Config) {
	k.demand(isAddress(c.Listen), "listen must be an address like 127.0.0.1:8080")
	k.demand(c.MetricsListen == "" || isAddress(c.MetricsListen), "metrics_listen must be an address like 127.0.0.1:9090, or empty")
	k.url("issuer", c.Issuer)
	k.demand(isIssuerPath(c.Issuer), "issuer: its path must be like /auth, and neither /.well-known nor below it")
	k.demand(isPath(c.BasePath), "base_path must be a path like /auth: letters, digits, - . _ ~, and a slash before each part and at no end")
	k.demand(isDatabase(c.DatabaseURL), "database_url must be sqlite:PATH (without ? and #), postgres://... or key=value pairs")
	k.oneOf("csrf", c.CSRF, "token", "origin")
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "json", "text")
	for _, origin := range c.CORS.Origins {
		k.demand(isOrigin(origin), "cors.origins: %q is not an origin like https://app.example.com, as browsers write it: "+
			"in lower case, without a default port, and names that are not ASCII in punycode (xn--...)", origin)
	}
}

// url demands an absolute URL, and https anywhere but on this machine.
func (k *checker) url(key, value string) {
	u, err := url.Parse(value)
	ok := err == nil && u.Hostname() != "" && isPort(u.Port()) && u.User == nil && !strings.ContainsAny(value, "?#") && (u.Scheme == "https" || u.Scheme == "http")
	k.demand(ok, "%s must be a URL like https://auth.example.com", key)
	if ok && u.Scheme == "http" {
		ip := net.ParseIP(u.Hostname())
		k.demand(u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(), "%s must be https, but on a loopback address", key)
	}
}

func (k *checker) tokens(c Config) {
	t := c.Tokens
	k.oneOf("tokens.algorithm", t.Algorithm, "ES256", "RS256", "EdDSA", "HS256")
	k.oneOf("tokens.user_id_type", t.UserIDType, "string", "number")
	k.demand(t.UserIDClaim != "" && !slices.ContainsFunc(reservedClaims[2:], func(r string) bool { return strings.EqualFold(r, t.UserIDClaim) }) &&
		!strings.EqualFold(t.UserIDClaim, "iss"), "tokens.user_id_claim must be a name that no other claim has")
	k.demand(t.AccessLifetime >= time.Second, "tokens.access_lifetime must be at least a second")
	k.demand(t.RefreshLifetime >= t.AccessLifetime, "tokens.refresh_lifetime must not be shorter than tokens.access_lifetime")
	k.demand(t.SessionLifetime >= t.RefreshLifetime, "tokens.session_lifetime must not be shorter than tokens.refresh_lifetime")
	k.demand(t.Leeway >= 0 && t.Leeway <= 2*time.Minute, "tokens.leeway must be between 0s and 2m")
	k.demand(!slices.Contains(t.Audience, ""), "tokens.audience must not have an empty member")
	k.demand(c.Sessions.Grace >= 0 && c.Sessions.Grace <= 10*time.Minute, "sessions.grace must be between 0s and 10m")
	k.demand(c.Sessions.LateRetries >= 0 && c.Sessions.LateRetries <= 10, "sessions.late_retries must be between 0 and 10")
}

func (k *checker) cookies(c Config) {
	o := c.Cookies
	k.demand(o.RefreshName != "" && o.CSRFName != "" && o.RefreshName != o.CSRFName, "cookies.refresh_name and cookies.csrf_name must be two names")
	k.oneOf("cookies.same_site", o.SameSite, "strict", "lax", "none")
	k.oneOf("cookies.profile", o.Profile, "seed", "hardened")
	k.demand(isCookie(http.Cookie{Name: o.RefreshName}), "cookies.refresh_name must be letters, digits and -_.")
	k.demand(isCookie(http.Cookie{Name: o.CSRFName}), "cookies.csrf_name must be letters, digits and -_.")
	k.demand(o.Path == "" || strings.HasPrefix(o.Path, "/") && isCookie(http.Cookie{Path: o.Path}),
		"cookies.path must begin with a slash and have no semicolon, or be empty")
	k.demand(isCookie(http.Cookie{Domain: o.Domain}), "cookies.domain must be a domain like example.com, or empty")
	k.demand(o.SameSite != "none" || o.Secure, "cookies.same_site none needs cookies.secure")
	if o.Profile == "hardened" {
		k.demand(o.Secure && o.Domain == "" && (o.Path == "" || o.Path == "/"), "cookies.profile hardened needs cookies.secure, no cookies.domain and no cookies.path")
	}
}

func (k *checker) limits(c Config) {
	p, t, s, d := c.Passwords, c.Throttle, c.Server, c.Database
	k.demand(p.Time >= 1 && p.Time <= 100 && p.Threads >= 1 && p.Threads <= 16 && p.Memory >= 8*uint32(p.Threads) && p.Memory <= 1<<20,
		"passwords: memory (KiB) must be 8 for each thread to 1048576, time 1 to 100, threads 1 to 16")
	k.demand(p.MaxConcurrent >= 0 && p.MaxQueue >= 0, "passwords: max_concurrent and max_queue can't be negative")
	k.demand(t.Window >= time.Second && t.PerAccountAndNetwork >= 1 && t.PerNetwork >= 1 && t.PerAccount >= 1,
		"throttle: the window must be at least 1s and every limit at least 1")
	k.demand(s.RequestTimeout > 0 && s.RequestTimeout < s.WriteTimeout, "server.request_timeout must be positive and less than server.write_timeout")
	k.demand(s.ShutdownDelay >= 0, "server.shutdown_delay must not be negative")
	k.demand(s.ReadTimeout > 0 && s.WriteTimeout > 0 && s.IdleTimeout > 0 && s.ShutdownTimeout > 0, "server: every timeout must be positive")
	k.demand(s.MaxBody >= 1<<10 && s.MaxBody <= 1<<20, "server.max_body must be between 1024 and 1048576 bytes")
	k.demand(d.MaxConnections >= 1 && d.StatementTimeout > 0, "database: max_connections and statement_timeout must be positive")
}
