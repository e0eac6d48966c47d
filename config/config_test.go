package config_test

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

const secret = "0123456789abcdef0123456789abcdef"

// write makes a file of a test.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var compare = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestLoad(t *testing.T) {
	t.Parallel()
	file := write(t, `
listen: 0.0.0.0:9000
secret_fallbacks: [a, b]
tokens: {algorithm: RS256, access_lifetime: 10m, audience: [api]}
sessions:
  late_retries: 3
cookies: {secure: false}
claims:
  - {name: plan, attribute: attributes.plan}
idps:
  - {name: cognito, type: cognito, region: us-west-2, user_pool: us-west-2_a, client_ids: [c], user_id_from_subject: true}
trusted_proxies: [10.0.0.0/8]
cors:
log: {level: debug}
`)
	got, err := config.Load(config.LoadOptions{Path: file, Environ: []string{
		"GATEHOUSE_LISTEN=127.0.0.1:1", "GATEHOUSE_TOKENS_ACCESS_LIFETIME=1m", "GATEHOUSE_SESSIONS_GRACE=5s",
		`GATEHOUSE_TOKENS_AUDIENCE=["x","y"]`, "GATEHOUSE_PASSWORDS_THREADS=2", "GATEHOUSE_SERVER_MAX_BODY=2048",
		`GATEHOUSE_CLAIMS=[{"name":"staff","attribute":"is_staff"}]`, "GATEHOUSE_ISSUER=https://auth.example.test",
		"PATH=/bin", "GATEHOUSE_CONFIG=" + file, "GATEHOUSE_PORT=tcp://10.0.0.1:80", "GATEHOUSE_SERVICE_HOST=10.0.0.1", "GATEHOUSE_PORT_80_TCP=x",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Listen, want.SecretFallbacks, want.Issuer = "127.0.0.1:1", []string{"a", "b"}, "https://auth.example.test"
	want.Tokens.Algorithm, want.Tokens.AccessLifetime, want.Tokens.Audience = "RS256", time.Minute, []string{"x", "y"}
	want.Sessions = config.Sessions{Grace: 5 * time.Second, LateRetries: 3}
	want.Cookies.Secure, want.Log.Level = false, "debug"
	want.Claims = []config.Claim{{Name: "staff", Attribute: "is_staff"}}
	want.IDPs = []config.IDP{{Name: "cognito", Type: "cognito", Region: "us-west-2", UserPool: "us-west-2_a", ClientIDs: []string{"c"}, UserIDFromSubject: true}}
	want.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	want.Passwords.Threads, want.Server.MaxBody = 2, 2048
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

func TestLoadNothing(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", write(t, ""), write(t, "# only a comment\n")} {
		got, err := config.Load(config.LoadOptions{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(config.Default(), got, compare); diff != "" {
			t.Errorf("without anything (-default +got):\n%s", diff)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	got, err := config.Load(config.LoadOptions{Environ: []string{
		"GATEHOUSE_SECRET_FILE=" + write(t, secret+"\n"), `GATEHOUSE_SECRET_FALLBACKS_FILE=` + write(t, `["one","two"]`),
		"GATEHOUSE_DATABASE_URL_FILE=" + write(t, "postgres://u:p@h/db\r\n"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Secret != secret || got.DatabaseURL != "postgres://u:p@h/db" || !cmp.Equal(got.SecretFallbacks, []string{"one", "two"}) {
		t.Errorf("the files gave %q, %q, %q", got.Secret, got.SecretFallbacks, got.DatabaseURL)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		environ    []string
		want       []string // each in the error
	}{
		{"a key that is not there", "lisen: x\n", nil, []string{"line 1", `unknown key "lisen"`, `did you mean "listen"?`}},
		{"a key deep inside", "tokens: {algoritm: ES256}", nil, []string{`unknown key "tokens.algoritm"`, `"algorithm"`}},
		{"a key in a list", "idps: [{name: a, clients: [b]}]", nil, []string{`unknown key "idps[0].clients"`}},
		{"a key that is like no other", "zzzzzz: 1", nil, []string{`unknown key "zzzzzz"`}},
		{"a key twice", "listen: a\nlisten: b\n", nil, []string{"listen is given twice"}},
		{"a list for a text", "listen: [a]", nil, []string{"listen must be text"}},
		{"null for a text", "secret: null", nil, []string{"secret must be text"}},
		{"text for a number", "sessions: {late_retries: many}", nil, []string{"sessions.late_retries must be a whole number"}},
		{"a number for a duration", "sessions: {grace: soon}", nil, []string{"sessions.grace must be a duration"}},
		{"text for a switch", "cookies: {secure: perhaps}", nil, []string{"cookies.secure must be true or false"}},
		{"text for a list", "claims: a", nil, []string{"claims must be a list"}},
		{"texts for objects", "claims: [a]", nil, []string{"claims[0] must be a mapping"}},
		{"no network", "trusted_proxies: [10.0.0.1]", nil, []string{"trusted_proxies must be a list of networks"}},
		{"a list of objects for texts", "user_fields: [{a: b}]", nil, []string{"user_fields must be a list of texts"}},
		{"a scalar for a section", "tokens: ES256", nil, []string{"tokens must be a mapping"}},
		{"a file that is a list", "[a]", nil, []string{"the file must be a mapping"}},
		{"a file that is not YAML", "a: [", nil, []string{"is not YAML"}},
		{"two documents", "listen: a\n---\nlisten: b\n", nil, []string{"more than one document"}},
		{"aliases, with which a small file becomes a huge one", "listen: &a x\nissuer: *a\n", nil, []string{"issuer: aliases are not taken"}},
		{"an alias in a list", "user_fields: [&a id, *a]\n", nil, []string{"user_fields must be a list of texts"}},
		{"an alias for a key", "issuer: &listen x\n*listen : y\n", nil, []string{"line 2: a key must be text"}},
		{"nothing for a switch, which would switch off", "cookies: {secure: }", nil, []string{"cookies.secure must be true or false"}},
		{"nothing for a duration", "sessions: {grace: }", nil, []string{"sessions.grace must be a duration"}},
		{"nothing for a number", "sessions: {late_retries: null}", nil, []string{"sessions.late_retries must be a whole number"}},
		{"nothing in a list", "tokens: {audience: [null, a]}", nil, []string{"tokens.audience must be a list of texts"}},
		{"nothing for a network", "trusted_proxies: [null]", nil, []string{"trusted_proxies must be a list of networks"}},
		{"part of a number", "sessions: {late_retries: 1.5}", nil, []string{"sessions.late_retries must be a whole number"}},
		{"a number that is too large", "passwords: {threads: 300}", nil, []string{"passwords.threads must be a whole number"}},
		{"a number without a unit", "sessions: {grace: 30}", nil, []string{"sessions.grace must be a duration"}},
		{"nothing in a variable", "", []string{"GATEHOUSE_COOKIES_SECURE=null"}, []string{"GATEHOUSE_COOKIES_SECURE", "true or false"}},
		{"a variable for a file that is not there", "", []string{"GATEHOUSE_SECRT_FILE=x"}, []string{`did you mean "GATEHOUSE_SECRET_FILE"?`}},
		{"a variable that is not there", "", []string{"GATEHOUSE_LISEN=x"}, []string{"unknown variable GATEHOUSE_LISEN", "GATEHOUSE_LISTEN"}},
		{"a file for what is no secret", "", []string{"GATEHOUSE_LISTEN_FILE=/x"}, []string{"unknown variable GATEHOUSE_LISTEN_FILE"}},
		{"a variable that is no number", "", []string{"GATEHOUSE_SESSIONS_LATE_RETRIES=x"}, []string{"GATEHOUSE_SESSIONS_LATE_RETRIES", "a whole number"}},
		{"a variable that is empty", "", []string{"GATEHOUSE_SESSIONS_GRACE="}, []string{"GATEHOUSE_SESSIONS_GRACE must be a duration"}},
		{"a variable that is not JSON", "", []string{"GATEHOUSE_IDPS=["}, []string{"GATEHOUSE_IDPS must be a list of objects"}},
		{"a key inside a variable", "", []string{`GATEHOUSE_IDPS=[{"nam":"x"}]`}, []string{"GATEHOUSE_IDPS", `unknown key "idps[0].nam"`}},
		{"a secret twice", "", []string{"GATEHOUSE_SECRET=a", "GATEHOUSE_SECRET_FILE=b"}, []string{"both given"}},
		{"a secret's file that is not there", "", []string{"GATEHOUSE_SECRET_FILE=/nonexistent"}, []string{"GATEHOUSE_SECRET_FILE"}},
		{"all mistakes at once", "lisen: x\nisuer: y\n", []string{"GATEHOUSE_X=1"}, []string{"lisen", "isuer", "GATEHOUSE_X"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.LoadOptions{Path: write(t, tc.file), Environ: tc.environ})
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
	if _, err := config.Load(config.LoadOptions{Path: "/nonexistent"}); err == nil {
		t.Error("a file that is not there is taken")
	}
}

func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	const word = "hunter2hunter2"
	_, err := config.Load(config.LoadOptions{
		Path:    write(t, "secret: ["+word+"]\nsecret_fallbacks: "+word+"\ndatabase_url: {a: "+word+"}\n"),
		Environ: []string{"GATEHOUSE_SECRET_FALLBACKS={" + word, "GATEHOUSE_SECRET_FILE=" + word},
	})
	if err == nil || strings.Contains(err.Error(), word) {
		t.Errorf("the error shows a secret, or there is none: %v", err)
	}
	_, err = config.Load(config.LoadOptions{Path: write(t, "secret: \""+word+"\n")})
	if err == nil || strings.Contains(err.Error(), word) {
		t.Errorf("the error shows a secret, or there is none: %v", err)
	}
	c := config.Default()
	c.Secret, c.SecretFallbacks = word, []string{word}
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), word) {
		t.Errorf("the error shows a secret, or there is none: %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	idp := config.IDP{Name: "cognito", Type: "cognito", Region: "us-west-2", UserPool: "us-west-2_a", ClientIDs: []string{"c"}}
	with := func(change func(*config.IDP)) func(*config.Config) {
		return func(c *config.Config) {
			p := idp
			change(&p)
			c.IDPs = []config.IDP{p}
		}
	}
	tests := []struct {
		name   string
		change func(*config.Config)
		want   string // in the error; empty: it is good
	}{
		{"the defaults, with a secret", func(*config.Config) {}, ""},
		{"no secret", func(c *config.Config) { c.Secret = "" }, "openssl rand"},
		{"a short secret", func(c *config.Config) { c.Secret = secret[1:] }, "at least 32 bytes"},
		{"a short fallback", func(c *config.Config) { c.SecretFallbacks = []string{secret, "x"} }, "secret_fallbacks[1]"},
		{"no address", func(c *config.Config) { c.Listen = "8080" }, "listen"},
		{"no metrics address", func(c *config.Config) { c.MetricsListen = "x" }, "metrics_listen"},
		{"an issuer with a query", func(c *config.Config) { c.Issuer = "https://a.test/?x" }, "issuer"},
		{"an issuer that is no URL", func(c *config.Config) { c.Issuer = "auth" }, "issuer"},
		{"an issuer without a host", func(c *config.Config) { c.Issuer = "https://:443" }, "issuer must be a URL"},
		{"an issuer with an unknown port", func(c *config.Config) { c.Issuer = "https://a.test:99999" }, "issuer must be a URL"},
		{"an issuer with port 0", func(c *config.Config) { c.Issuer = "https://a.test:0" }, "issuer must be a URL"},
		{"an issuer with two slashes", func(c *config.Config) { c.Issuer = "https://a.test/a//b" }, "issuer: its path"},
		{"an issuer with two slashes at its end", func(c *config.Config) { c.Issuer = "https://a.test//" }, "issuer: its path"},
		{"an issuer that routers clean", func(c *config.Config) { c.Issuer = "https://a.test/a/../b" }, "issuer: its path"},
		{"an issuer with a blank", func(c *config.Config) { c.Issuer = "https://a.test/a b" }, "issuer: its path"},
		{"an issuer that is a pattern to routers", func(c *config.Config) { c.Issuer = "https://a.test/{x" }, "issuer: its path"},
		{"an issuer where the metadata is", func(c *config.Config) { c.Issuer = "https://a.test/.well-known" }, "issuer: its path"},
		{"an issuer below that", func(c *config.Config) { c.Issuer = "https://a.test/.well-known/jwks.json/" }, "issuer: its path"},
		{"an issuer with a path", func(c *config.Config) { c.Issuer = "https://a.test:8443/auth/v1/" }, ""},
		{"an issuer with no path but a slash", func(c *config.Config) { c.Issuer = "https://a.test/" }, ""},
		{"plain http for others", func(c *config.Config) { c.Issuer = "http://a.test" }, "issuer must be https"},
		{"plain http for this machine", func(c *config.Config) { c.Issuer = "http://[::1]:80" }, ""},
		{"a base path without a slash", func(c *config.Config) { c.BasePath = "auth" }, "base_path"},
		{"the root as the base path", func(c *config.Config) { c.BasePath = "/" }, "base_path"},
		{"an address with an unknown port", func(c *config.Config) { c.Listen = "127.0.0.1:99999" }, "listen"},
		{"an issuer with an empty query", func(c *config.Config) { c.Issuer = "https://a.test/?" }, "issuer"},
		{"an issuer with an empty fragment", func(c *config.Config) { c.Issuer = "https://a.test/#" }, "issuer"},
		{"a base path that routers clean", func(c *config.Config) { c.BasePath = "/a/../auth" }, "base_path"},
		{"a base path that ends the cookie's", func(c *config.Config) { c.BasePath = "/auth;x" }, "base_path"},
		{"a base path of two parts", func(c *config.Config) { c.BasePath = "/api/v1.0_a~b-c" }, ""},
		{"another engine", func(c *config.Config) { c.DatabaseURL = "mysql://a" }, "database_url"},
		{"a file without its scheme", func(c *config.Config) { c.DatabaseURL = "gatehouse.db" }, "database_url"},
		{"an embedded database without a file", func(c *config.Config) { c.DatabaseURL = "sqlite:" }, "database_url"},
		{"a URL of Postgres", func(c *config.Config) { c.DatabaseURL = "postgresql://u@h/d?sslmode=disable" }, ""},
		{"hosts of Postgres as pairs, one value a URL", func(c *config.Config) { c.DatabaseURL = "host=a,b password=x://y" }, ""},
		{"no database", func(c *config.Config) { c.DatabaseURL = "" }, "database_url"},
		{"an unknown CSRF mode", func(c *config.Config) { c.CSRF = "off" }, "csrf must be one of token, origin"},
		{"an unknown level", func(c *config.Config) { c.Log.Level = "loud" }, "log.level"},
		{"an unknown format", func(c *config.Config) { c.Log.Format = "xml" }, "log.format"},
		{"any origin", func(c *config.Config) { c.CORS.Origins = []string{"*"} }, "cors.origins"},
		{"the origins of all subdomains", func(c *config.Config) { c.CORS.Origins = []string{"https://*.example.com"} }, "cors.origins"},
		{"any origin with TLS", func(c *config.Config) { c.CORS.Origins = []string{"https://*"} }, "cors.origins"},
		{"an origin that no browser writes so", func(c *config.Config) { c.CORS.Origins = []string{"https://A.test"} }, "cors.origins"},
		{"an origin with the port that browsers leave out", func(c *config.Config) { c.CORS.Origins = []string{"https://a.test:443"} }, "cors.origins"},
		{"an origin with a path", func(c *config.Config) { c.CORS.Origins = []string{"https://a.test/"} }, "cors.origins"},
		{"an origin that browsers write in punycode", func(c *config.Config) { c.CORS.Origins = []string{"https://ü.test"} }, "in punycode (xn--...)"},
		{"the same in punycode", func(c *config.Config) { c.CORS.Origins = []string{"https://xn--tda.test"} }, ""},
		{"an origin with a zero before the port", func(c *config.Config) { c.CORS.Origins = []string{"https://a.test:0443"} }, "cors.origins"},
		{"an origin with an unknown port", func(c *config.Config) { c.CORS.Origins = []string{"https://a.test:99999"} }, "cors.origins"},
		{"an origin of an address", func(c *config.Config) { c.CORS.Origins = []string{"http://[::1]:5173"} }, ""},
		{"an origin", func(c *config.Config) { c.CORS.Origins = []string{"https://a.test:8443"} }, ""},
		{"no signature", func(c *config.Config) { c.Tokens.Algorithm = "none" }, "tokens.algorithm"},
		{"an unknown type of id", func(c *config.Config) { c.Tokens.UserIDType = "uuid" }, "tokens.user_id_type"},
		{"a user-id claim that is taken", func(c *config.Config) { c.Tokens.UserIDClaim = "Exp" }, "user_id_claim"},
		{"the subject as the user-id claim", func(c *config.Config) { c.Tokens.UserIDClaim = "sub" }, ""},
		{"the issuer as the user-id claim", func(c *config.Config) { c.Tokens.UserIDClaim = "iss" }, "user_id_claim"},
		{"no lifetime", func(c *config.Config) { c.Tokens.AccessLifetime = 0 }, "access_lifetime"},
		{"a refresh token that dies first", func(c *config.Config) { c.Tokens.RefreshLifetime = time.Minute }, "refresh_lifetime"},
		{"a session that dies first", func(c *config.Config) { c.Tokens.SessionLifetime = time.Hour }, "session_lifetime"},
		{"a key set for half a second", func(c *config.Config) { c.Keys.JWKSMaxAge = time.Second / 2 }, "keys.jwks_max_age"},
		{"rotation before the last one took effect", func(c *config.Config) { c.Keys.RotateEvery = 20 * time.Minute }, "keys.rotate_every must be 0s (never), or at least 21m0s"},
		{"a key file for HS256", func(c *config.Config) { c.Keys.File, c.Tokens.Algorithm = "keys.json", "HS256" }, "keys.file"},
		{"a key file that rotates", func(c *config.Config) { c.Keys.File, c.Keys.RotateEvery = "keys.json", time.Hour }, "keys.rotate_every is of no use"},
		{"rotation backwards", func(c *config.Config) { c.Keys.RotateEvery = -time.Hour }, "keys.rotate_every"},
		{"an hour of leeway", func(c *config.Config) { c.Tokens.Leeway = time.Hour }, "leeway"},
		{"statements that are made all the time", func(c *config.Config) { c.Revocations.Interval = 0 }, "revocations.interval"},
		{"a statement that is too old at once", func(c *config.Config) { c.Revocations.MaxAge = c.Revocations.Interval }, "revocations.max_age"},
		{"a claim for proxies", func(c *config.Config) { c.Forward.Headers = []config.ForwardHeader{{Header: "X-Plan", Claim: "plan"}} }, ""},
		{"a header that means something else", func(c *config.Config) {
			c.Forward.Headers = []config.ForwardHeader{{Header: "Set-Cookie", Claim: "plan"}}
		}, "forward.headers[0].header must be X-"},
		{"a header with an underscore", func(c *config.Config) { c.Forward.Headers = []config.ForwardHeader{{Header: "X-Plan_", Claim: "plan"}} }, "forward.headers[0].header must be X-"},
		{"a header twice", func(c *config.Config) {
			c.Forward.Headers = []config.ForwardHeader{{Header: "X-Plan", Claim: "a"}, {Header: "x-plan", Claim: "b"}}
		}, `forward.headers[1].header: "x-plan" is taken`},
		{"a header of the identity", func(c *config.Config) {
			c.Forward.Headers = []config.ForwardHeader{{Header: "X-Auth-Request-User", Claim: "a"}}
		}, "is taken"},
		{"a header without a claim", func(c *config.Config) { c.Forward.Headers = []config.ForwardHeader{{Header: "X-Plan"}} }, "needs a claim"},
		{"an empty audience", func(c *config.Config) { c.Tokens.Audience = []string{""} }, "audience"},
		{"an endless grace", func(c *config.Config) { c.Sessions.Grace = time.Hour }, "grace"},
		{"negative late retries", func(c *config.Config) { c.Sessions.LateRetries = -1 }, "late_retries"},
		{"two cookies of one name", func(c *config.Config) { c.Cookies.CSRFName = c.Cookies.RefreshName }, "two names"},
		{"a cookie name with a blank", func(c *config.Config) { c.Cookies.RefreshName = "a b" }, "cookies.refresh_name"},
		{"a cookie name with an equals sign", func(c *config.Config) { c.Cookies.CSRFName = "a=b" }, "cookies.csrf_name"},
		{"a cookie path with a semicolon", func(c *config.Config) { c.Cookies.Path = "/a;b" }, "cookies.path"},
		{"a cookie domain with a blank", func(c *config.Config) { c.Cookies.Domain = "a b" }, "cookies.domain"},
		{"an unknown SameSite", func(c *config.Config) { c.Cookies.SameSite = "Strict" }, "same_site"},
		{"SameSite none without Secure", func(c *config.Config) { c.Cookies.SameSite, c.Cookies.Secure = "none", false }, "cookies.secure"},
		{"an unknown profile", func(c *config.Config) { c.Cookies.Profile = "x" }, "profile"},
		{"a path without a slash", func(c *config.Config) { c.Cookies.Path = "x" }, "cookies.path"},
		{"hardened with a domain", func(c *config.Config) { c.Cookies.Profile, c.Cookies.Domain = "hardened", "a.test" }, "hardened"},
		{"a claim without an attribute", func(c *config.Config) { c.Claims = []config.Claim{{Name: "a"}} }, "claims[0]"},
		{"a member that users don't have", func(c *config.Config) { c.UserFields = []string{"emial"} }, `did you mean "email"?`},
		{"an identity provider", with(func(*config.IDP) {}), ""},
		{"one without clients", with(func(p *config.IDP) { p.ClientIDs = nil }), "client_ids"},
		{"one without a pool", with(func(p *config.IDP) { p.UserPool = "" }), "region and user_pool"},
		{"an emulator", with(func(p *config.IDP) {
			p.Region, p.UserPool, p.Issuer, p.JWKSURL = "", "", "http://localhost:9229/p", "http://127.0.0.1:9229/p/jwks.json"
		}), ""},
		{"an emulator elsewhere", with(func(p *config.IDP) { p.JWKSURL = "http://10.0.0.1/jwks.json" }), "jwks_url must be https"},
		{"one of an unknown type", with(func(p *config.IDP) { p.Type = "saml" }), "type"},
		{"one that is called password", with(func(p *config.IDP) { p.Name = "password" }), "name"},
		{"a group without a name", with(func(p *config.IDP) { p.RequiredGroups = []string{""} }), "required_groups"},
		{"a policy that is unknown", with(func(p *config.IDP) { p.UnverifiedEmail = "trust" }), "unverified_email"},
		{"hashing without memory", func(c *config.Config) { c.Passwords.Memory = 1 }, "passwords"},
		{"a negative queue", func(c *config.Config) { c.Passwords.MaxQueue = -1 }, "max_queue"},
		{"no throttle", func(c *config.Config) { c.Throttle.PerAccount = 0 }, "throttle"},
		{"no timeout", func(c *config.Config) { c.Server.ReadTimeout = 0 }, "server"},
		{"work that outlives the answer", func(c *config.Config) { c.Server.RequestTimeout = time.Minute }, "request_timeout"},
		{"an endless body", func(c *config.Config) { c.Server.MaxBody = 1 << 30 }, "max_body"},
		{"no connections", func(c *config.Config) { c.Database.MaxConnections = 0 }, "database"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			c.Secret = secret
			tc.change(&c)
			err := c.Validate()
			if tc.want == "" && err != nil {
				t.Errorf("it is refused: %v", err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the error lacks %q: %v", tc.want, err)
			}
		})
	}
}

// TestReference holds docs/configuration.md to the settings.
func TestReference(t *testing.T) {
	t.Parallel()
	const path, mark = "../docs/configuration.md", "<!-- generated below; `go test ./config -update` writes it -->\n"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(raw), mark)
	if !ok {
		t.Fatal("docs/configuration.md lacks its mark")
	}
	want := head + mark + "\n" + config.Reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(raw) {
		t.Error("docs/configuration.md is not what the settings say; `go test ./config -update` writes it")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("listen: x\n", "1m")
	f.Add("idps: [{name: a}]\n", "[]")
	f.Fuzz(func(t *testing.T, file, variable string) {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = config.Load(config.LoadOptions{Path: path, Environ: []string{"GATEHOUSE_SESSIONS_GRACE=" + variable, "GATEHOUSE_IDPS=" + variable}})
	})
}
