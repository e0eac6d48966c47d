package config

import (
	"net/netip"
	"time"
)

// Config is every setting of the program. The yaml tags are the names that the
// file, the environment and the documentation share; the doc tags are the
// documentation.
type Config struct {
	Listen          string         `yaml:"listen" doc:"Address to listen on."`
	DatabaseURL     string         `yaml:"database_url" secret:"file" doc:"Where the data is: sqlite:PATH, postgres://... or a libpq string (key=value)."`
	Secret          string         `yaml:"secret" secret:"file" doc:"The root of all keys, at least 32 bytes: openssl rand -base64 48. Django's SECRET_KEY when taking over. Required."`
	SecretFallbacks []string       `yaml:"secret_fallbacks" secret:"file" doc:"Former secrets: they verify and open, and make nothing new."`
	Issuer          string         `yaml:"issuer" doc:"The iss of access tokens: the URL by which clients know this service."`
	BasePath        string         `yaml:"base_path" doc:"Where the operations stand."`
	Tokens          Tokens         `yaml:"tokens"`
	Keys            Keys           `yaml:"keys"`
	Sessions        Sessions       `yaml:"sessions"`
	Cookies         Cookies        `yaml:"cookies"`
	CSRF            string         `yaml:"csrf" doc:"token: refresh and logoff need the CSRF token. origin: a browser's Origin or Sec-Fetch-Site is enough."`
	Claims          []Claim        `yaml:"claims" doc:"Custom claims of access tokens, a list; see docs/claims.md."`
	Webhooks        []Webhook      `yaml:"webhooks" doc:"Services that claims come from, a list."`
	UserFields      []string       `yaml:"user_fields" doc:"Members of user in the answers; empty: no user."`
	IDPs            []IDP          `yaml:"idps" doc:"Identity providers, a list; see docs/cognito.md and docs/oidc.md."`
	Revocations     Revocations    `yaml:"revocations"`
	Forward         Forward        `yaml:"forward"`
	CORS            CORS           `yaml:"cors"`
	MetricsListen   string         `yaml:"metrics_listen" doc:"Address of the metrics listener; empty: off."`
	TrustedProxies  []netip.Prefix `yaml:"trusted_proxies" doc:"Networks (CIDR) of the proxies whose X-Forwarded-For is believed."`
	Passwords       Passwords      `yaml:"passwords"`
	Throttle        Throttle       `yaml:"throttle"`
	Server          Server         `yaml:"server"`
	Database        Database       `yaml:"database"`
	Log             Log            `yaml:"log"`
}

// Tokens says how tokens are made.
type Tokens struct {
	Algorithm       string        `yaml:"algorithm" doc:"Of access tokens: ES256, RS256, EdDSA, or HS256 with the secret as the key."`
	AccessLifetime  time.Duration `yaml:"access_lifetime" doc:"Of an access token."`
	RefreshLifetime time.Duration `yaml:"refresh_lifetime" doc:"Of a refresh token: how long a session may lie idle."`
	SessionLifetime time.Duration `yaml:"session_lifetime" doc:"Of a session, whatever happens."`
	Audience        []string      `yaml:"audience" doc:"The aud of access tokens; empty: none."`
	Leeway          time.Duration `yaml:"leeway" doc:"How far the clocks of replicas and identity providers may differ."`
	UserIDClaim     string        `yaml:"user_id_claim" doc:"The claim with the user's id."`
	UserIDType      string        `yaml:"user_id_type" doc:"string, or number: an id that is a whole number becomes a JSON number."`
	MaxBytes        int           `yaml:"max_bytes" doc:"The longest access token that is handed out; 16384 at most."`
}

// Sessions says what a session forgives.
type Sessions struct {
	Grace       time.Duration `yaml:"grace" doc:"How long after a rotation the former refresh token gets the same successor."`
	LateRetries int           `yaml:"late_retries" doc:"How often in a session's life it gets it later than that."`
}

// Cookies says how the cookies look.
type Cookies struct {
	RefreshName string `yaml:"refresh_name" doc:"Name of the cookie with the refresh token."`
	CSRFName    string `yaml:"csrf_name" doc:"Name of the cookie with the CSRF token."`
	Path        string `yaml:"path" doc:"Path of the cookies; empty: base_path."`
	Salt        string `yaml:"salt" doc:"COOKIE_SALT of django-rest-microservice."`
	Secure      bool   `yaml:"secure" doc:"Send the cookies over https alone; browsers take http://localhost for that."`
	SameSite    string `yaml:"same_site" doc:"strict, lax or none."`
	Domain      string `yaml:"domain" doc:"Domain of the cookies; empty: the host alone."`
	Profile     string `yaml:"profile" doc:"seed: the names and the path above. hardened: __Host- before the names, path /."`
}

// IDP is one identity provider.
type IDP struct {
	Name              string   `yaml:"name" doc:"Names it in sessions and logs."`
	Type              string   `yaml:"type" doc:"cognito, or oidc: any OpenID provider; see docs/oidc.md."`
	Region            string   `yaml:"region" doc:"Of the user pool."`
	UserPool          string   `yaml:"user_pool" doc:"Id of the user pool."`
	ReplicaRegions    []string `yaml:"replica_regions" doc:"Regions that the pool is replicated to."`
	ClientIDs         []string `yaml:"client_ids" doc:"Clients whose tokens are taken."`
	HostedUI          string   `yaml:"hosted_ui" doc:"URL of the hosted UI: with it codes are exchanged here, for the first of client_ids."`
	ClientSecretFile  string   `yaml:"client_secret_file" doc:"File with the secret of the first of client_ids, where it is a confidential client."`
	RedirectURIs      []string `yaml:"redirect_uris" doc:"Where users may come back to; empty: wherever the provider lets them."`
	Issuer            string   `yaml:"issuer" doc:"Of type oidc: the provider's issuer, exactly as its tokens have it. Of type cognito: instead of region and pool, the issuer of an emulator."`
	JWKSURL           string   `yaml:"jwks_url" doc:"Instead of the pool's, or the metadata's: where the keys are."`
	RequiredGroups    []string `yaml:"required_groups" doc:"Groups, one of which a user must be in; empty: not asked."`
	RequiredScopes    []string `yaml:"required_scopes" doc:"Of type cognito: scopes, one of which the access token must have; empty: not asked."`
	UserIDFromSubject bool     `yaml:"user_id_from_subject" doc:"New users take the subject as their id."`
	UnverifiedEmail   string   `yaml:"unverified_email" doc:"refuse (the default), or accept: an address that nobody vouches for does not stop a sign-in, and stays unverified."`

	LinkByEmail bool              `yaml:"link_by_email" doc:"A new identity becomes the local user's who has its e-mail address, where both have proved it; see docs/users.md."`
	LinkStaff   bool              `yaml:"link_staff" doc:"With link_by_email: also where that user is staff or a superuser."`
	FollowNames bool              `yaml:"follow_names" doc:"The names change with the provider's at each sign-in, as the e-mail address always does."`
	TrustEmail  bool              `yaml:"trust_email" doc:"An address of which the provider does not say whether it is verified counts as verified."`
	Claims      IDPClaims         `yaml:"claims" doc:"Where username, first_name, last_name, email and email_verified are read from: for each a claim, or a list of which the first counts that is there."`
	Attributes  map[string]string `yaml:"attributes" doc:"Claims that are copied into the user's attributes, each under the name that it is to have there."`

	Scopes       []string `yaml:"scopes" doc:"Scopes to ask for, openid among them; empty: openid, email, profile."`
	RequireNonce bool     `yaml:"require_nonce" doc:"Refuse an exchange without the nonce of its ID token."`
	GroupsClaim  string   `yaml:"groups_claim" doc:"Where required_groups are read from; empty: cognito:groups, and groups of type oidc."`

	// Of type oidc alone.
	DiscoveryURL          string   `yaml:"discovery_url" doc:"Of type oidc: where the metadata is; empty: /.well-known/openid-configuration below the issuer."`
	Algorithms            []string `yaml:"algorithms" doc:"Of type oidc: what ID tokens may be signed with: RS256, PS256, ES256, EdDSA; empty: RS256."`
	IssuerAliases         []string `yaml:"issuer_aliases" doc:"Of type oidc: further values of iss that stand for the issuer."`
	Tenants               []string `yaml:"tenants" doc:"Of type oidc: the tenants that {tenantid} in the issuer stands for (Microsoft Entra)."`
	AuthorizationEndpoint string   `yaml:"authorization_endpoint" doc:"Of type oidc: instead of the metadata's."`
	TokenEndpoint         string   `yaml:"token_endpoint" doc:"Of type oidc: instead of the metadata's."`
	TokenEndpointAuth     string   `yaml:"token_endpoint_auth" doc:"Of type oidc: how the client secret is shown, client_secret_basic or client_secret_post; empty: as the metadata says."`
}

// CORS says which pages may use the service from another origin.
type CORS struct {
	Origins []string `yaml:"origins" doc:"Origins of those pages, exactly; they may send the cookies."`
}

// Passwords is the cost of hashing.
type Passwords struct {
	Memory        uint32 `yaml:"memory" doc:"Of one argon2id hash, in KiB."`
	Time          uint32 `yaml:"time" doc:"Passes of argon2id."`
	Threads       uint8  `yaml:"threads" doc:"Lanes of argon2id."`
	MaxConcurrent int    `yaml:"max_concurrent" doc:"Hashes at once; 0: one for each core."`
	MaxQueue      int    `yaml:"max_queue" doc:"Hashes that may wait; beyond it sign-ins get 503."`
}

// Throttle bounds failed sign-ins.
type Throttle struct {
	Window               time.Duration `yaml:"window" doc:"In which failed sign-ins are counted."`
	PerAccountAndNetwork int           `yaml:"per_account_and_network" doc:"Failed sign-ins of one account from one network (/24, /64)."`
	PerNetwork           int           `yaml:"per_network" doc:"Failed sign-ins from one network; as many refused authorization codes, and refused services, are counted by themselves."`
	PerAccount           int           `yaml:"per_account" doc:"Failed sign-ins of one account; binds networks alone that it never signed in from."`
}

// Server bounds what a connection may take.
type Server struct {
	RequestTimeout  time.Duration `yaml:"request_timeout" doc:"For the work on a request, its queries included; then 503."`
	ReadTimeout     time.Duration `yaml:"read_timeout" doc:"For reading a whole request."`
	WriteTimeout    time.Duration `yaml:"write_timeout" doc:"For a whole answer."`
	IdleTimeout     time.Duration `yaml:"idle_timeout" doc:"For a connection without a request."`
	MaxBody         int64         `yaml:"max_body" doc:"Of a request, in bytes."`
	ShutdownDelay   time.Duration `yaml:"shutdown_delay" doc:"How long a server that was told to stop goes on, while its readiness says shutting_down: for load balancers that ask, a little more than they take to act on it."`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" doc:"For the requests in flight when the server stops."`
}

// Database is how the database is used.
type Database struct {
	MaxConnections   int           `yaml:"max_connections" doc:"Of this process, to Postgres."`
	StatementTimeout time.Duration `yaml:"statement_timeout" doc:"For one statement, in Postgres."`
}

// Log is how much is logged, and how.
type Log struct {
	Level  string `yaml:"level" doc:"debug, info, warn or error."`
	Format string `yaml:"format" doc:"json or text."`
}

// Default returns the settings that hold where nothing else is said.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080", DatabaseURL: "sqlite:gatehouse.db", Issuer: "http://localhost:8080", BasePath: "/auth",
		Tokens: Tokens{
			Algorithm: "ES256", AccessLifetime: 5 * time.Minute, RefreshLifetime: 24 * time.Hour, SessionLifetime: 720 * time.Hour,
			Leeway: 30 * time.Second, UserIDClaim: "user_id", UserIDType: "string", MaxBytes: 4096,
		},
		Keys:     Keys{JWKSMaxAge: 5 * time.Minute},
		Sessions: Sessions{Grace: 30 * time.Second, LateRetries: 1},
		Cookies: Cookies{
			RefreshName: "refresh_cookie", CSRFName: "CSRF_token", Salt: "extra", Secure: true, SameSite: "strict", Profile: "seed",
		},
		CSRF:        "token",
		Revocations: Revocations{Interval: 5 * time.Second, MaxAge: 2 * time.Minute},
		Passwords:   Passwords{Memory: 19456, Time: 2, Threads: 1, MaxQueue: 64},
		Throttle:    Throttle{Window: 15 * time.Minute, PerAccountAndNetwork: 10, PerNetwork: 100, PerAccount: 100},
		Server: Server{
			RequestTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
			MaxBody: 64 << 10, ShutdownTimeout: 20 * time.Second,
		},
		Database: Database{MaxConnections: 16, StatementTimeout: 5 * time.Second},
		Log:      Log{Level: "info", Format: "json"},
	}
}
