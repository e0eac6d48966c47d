package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito/cognitotest"
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/rogpeppe/go-internal/testscript"
)

// issue gives a script the tokens of an identity provider: id.txt and access.txt
// of one sign-in, other.txt an access token of another, and unproved.txt an ID
// token whose address is not verified.
func issue(pool *cognitotest.Pool, env *testscript.Env) error {
	now := time.Now()
	id, access := pool.Pair("111", now, cognitotest.Claims{"nonce": "n"})
	_, other := pool.Pair("222", now, nil)
	unproved := pool.Sign("kid-1", pool.ID("111", now).With(cognitotest.Claims{"email_verified": false, "exp": now.Add(-time.Hour).Unix()}))
	for name, token := range map[string]string{"id.txt": id, "access.txt": access, "other.txt": other, "unproved.txt": unproved} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(token+"\n"), 0o600); err != nil {
			return err
		}
	}
	env.Setenv("POOL", fmt.Sprintf(`[{"name":"cognito","type":"cognito","issuer":%q,"jwks_url":%q,"client_ids":[%q]}]`,
		pool.Issuer, pool.JWKSURL, cognitotest.ClientID))
	return nil
}

// seeded opens the database and the tokens of a script, whose secret is in the
// environment.
func seeded(ts *testscript.TestScript, do func(ctx context.Context, s store, issuer *tokens.Service) error) {
	cfg := configOf(ts)
	s, err := openStore(cfg)
	ts.Check(err)
	defer s.Close() //nolint:errcheck // every write was acknowledged
	ctx := context.Background()
	ts.Check(s.Migrate(ctx))
	issuer, err := newTokens(cfg, s, newLogger(ts.Stderr(), cfg.Log))
	ts.Check(err)
	ts.Check(issuer.Load(ctx))
	ts.Check(do(ctx, s, issuer))
}

func configOf(ts *testscript.TestScript) config.Config {
	cfg := config.Default()
	cfg.DatabaseURL, cfg.Secret = "sqlite:"+ts.MkAbs("gatehouse.db"), ts.Getenv("GATEHOUSE_SECRET")
	return cfg
}

// seed USER SESSION signs a user in, and leaves refresh-1.txt, cookie-1.txt and
// session.txt, its access token.
func seed(ts *testscript.TestScript, _ bool, args []string) {
	seeded(ts, func(ctx context.Context, s store, issuer *tokens.Service) error {
		u, err := s.FindUserByUsername(ctx, args[0])
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		begun := repo.Session{
			ID: args[1], UserID: u.ID, Generation: 1, CreatedAt: now, RotatedAt: now, IdleExpiresAt: now.Add(24 * time.Hour),
			ExpiresAt: now.Add(720 * time.Hour), Method: "password", UserAgent: "Browser\x1b[2J", IP: "203.0.113.7",
		}
		e := adminEvent("sign_in", u.ID, now)
		e.SessionID = begun.ID
		if err := s.StartSession(ctx, begun, repo.Proof{}, e); err != nil {
			return err
		}
		access, _, err := issuer.IssueAccess(tokens.AccessSubject{UserID: u.ID, SessionID: begun.ID}, now, begun.ExpiresAt)
		if err != nil {
			return err
		}
		return leave(ts, issuer, begun, access)
	})
}

// advance SESSION GENERATION refreshes, and leaves the token that follows.
func advance(ts *testscript.TestScript, _ bool, args []string) {
	seeded(ts, func(ctx context.Context, s store, issuer *tokens.Service) error {
		generation, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		su, err := s.RotateSession(ctx, args[0], generation, now, now.Add(24*time.Hour))
		if err != nil {
			return err
		}
		return leave(ts, issuer, su.Session, "")
	})
}

func leave(ts *testscript.TestScript, issuer *tokens.Service, s repo.Session, access string) error {
	refresh, err := issuer.IssueRefresh(tokens.Refresh{
		SessionID: s.ID, Generation: s.Generation, UserID: s.UserID, IssuedAt: s.RotatedAt, ExpiresAt: s.IdleExpiresAt,
	})
	if err != nil {
		return err
	}
	jar, _, err := cookieJars(configOf(ts))
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"refresh": refresh, "cookie": jar.Sign(refresh, s.RotatedAt)} {
		if err := os.WriteFile(ts.MkAbs(fmt.Sprintf("%s-%d.txt", name, s.Generation)), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if access == "" {
		return nil
	}
	return os.WriteFile(ts.MkAbs("session.txt"), []byte(access), 0o600)
}
