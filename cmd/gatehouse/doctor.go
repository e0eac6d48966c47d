package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/migrations"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/spf13/cobra"
)

// doctorFlags are what doctor is asked beside the configuration.
type doctorFlags struct {
	idToken, accessToken, idp, nonce string
	issuer                           bool
}

func (c *cli) doctorCommand() *cobra.Command {
	var f doctorFlags
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check the configuration and all that it depends on", Args: cobra.NoArgs,
		Long: "Checks the configuration, the database, the signing keys, the identity providers, and what browsers will do with the\n" +
			"cookies, and says what helps. It changes nothing. It fails where a check does; warnings are no failure.\n" +
			"With --id-token-file it makes the checks of an exchange instead, of tokens that an identity provider has issued.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			found := c.examine(cmd.Context(), f, time.Now().UTC())
			failed := found.failed()
			if err := c.print(map[string]any{"ok": !failed, "checks": found}, found.text()); err != nil {
				return err
			}
			if failed {
				return errors.New("a check failed")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.idToken, "id-token-file", "", "a file with an ID token")
	flags.StringVar(&f.accessToken, "access-token-file", "", "a file with the access token that came with it")
	flags.StringVar(&f.idp, "idp", "", "the name of the identity provider; the one that the token names where nothing is said")
	flags.StringVar(&f.nonce, "nonce", "", "the nonce that the tokens were asked for with")
	flags.BoolVar(&f.issuer, "issuer", false, "also ask the running server for its keys, at the issuer's URL")
	return cmd
}

// examine makes all checks that are asked for.
func (c *cli) examine(ctx context.Context, f doctorFlags, now time.Time) findings {
	var found findings
	cfg, err := c.load()
	if err != nil {
		found.configuration(err)
		return found
	}
	if f.idToken != "" || f.accessToken != "" {
		return c.examineTokens(ctx, cfg, f)
	}
	found.configuration(cfg.Validate())
	found.secret(cfg)
	found.claims(cfg)
	signers := found.store(ctx, cfg, now)
	found.providers(ctx, cfg)
	found.cookieNames(cfg)
	found.cookies(cfg)
	found.exposure(cfg)
	if f.issuer {
		found.issuer(ctx, cfg, signers)
	}
	return found
}

// configuration tells its mistakes, each by itself.
func (f *findings) configuration(err error) {
	if err == nil {
		f.add("configuration", isOK, "it is valid", "")
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		f.add("configuration", isFailed, strings.TrimPrefix(line, "config: "), "")
	}
}

// secret looks at the secret without showing anything of it.
func (f *findings) secret(cfg config.Config) {
	switch {
	case cfg.Secret == "":
		f.add("secret", isFailed, "there is none", "openssl rand -base64 48")
	case strings.HasPrefix(cfg.Secret, "django-insecure-"):
		f.add("secret", isWarning, "it is one that Django makes for development", "make a new one, and keep this one in secret_fallbacks")
	case strings.Count(cfg.Secret, cfg.Secret[:1]) == len(cfg.Secret):
		f.add("secret", isFailed, "it is one character over and over", "openssl rand -base64 48")
	default:
		f.add("secret", isOK, fmt.Sprintf("%d bytes, and %d former ones", len(cfg.Secret), len(cfg.SecretFallbacks)), "")
	}
}

// claims compiles the rules for custom claims, and measures a token with them.
func (f *findings) claims(cfg config.Config) {
	discard := slog.New(slog.DiscardHandler)
	issuer, err := newTokens(cfg, frozenKeys{}, discard)
	if err != nil {
		f.add("claims", notReached, "the configuration is not right", "")
		return
	}
	_, err = newClaims(cfg, issuer, discard)
	f.tell("claims", err, fmt.Sprintf("%d rules", len(cfg.Claims)), "gatehouse claims preview USER shows them")
}

// store checks the database and the keys, and returns the ids of those that sign.
func (f *findings) store(ctx context.Context, cfg config.Config, now time.Time) []string {
	s, err := openExisting(ctx, cfg)
	switch {
	case errors.Is(err, errNoDatabase):
		f.add("database", isWarning, err.Error(), "")
	case errors.Is(err, migrations.ErrVersion):
		f.add("database", isFailed, err.Error(), "gatehouse migrate up")
	case err != nil:
		f.add("database", isFailed, err.Error(), "database_url, the network, or `gatehouse migrate up`")
	}
	if err != nil {
		f.add("database: writing", notReached, "", "")
		if cfg.Keys.File != "" { // needs no database
			return f.keys(ctx, cfg, nil, now)
		}
		f.add("signing keys", notReached, "", "")
		return nil
	}
	defer s.Close() //nolint:errcheck // every write was acknowledged
	f.add("database", isOK, "it answers, and its schema is up to date", "")
	const mark = "doctor" // is swept with the other counts
	_, err = s.AddAttempts(ctx, []string{mark}, now, now)
	if err == nil {
		err = s.TakeBackAttempts(ctx, []string{mark})
	}
	f.tell("database: writing", err, "it takes writes", "it is full, read-only, or a standby")
	return f.keys(ctx, cfg, s, now)
}

// keys checks that an access token can be signed. There is no store where the
// keys are in a file and the database was not reached.
func (f *findings) keys(ctx context.Context, cfg config.Config, s store, now time.Time) []string {
	issuer, err := newTokens(cfg, frozenKeys{s}, slog.New(slog.DiscardHandler))
	if err != nil {
		f.add("signing keys", notReached, "the configuration is not right", "")
		return nil
	}
	err = issuer.Load(ctx)
	var token string
	if err == nil {
		token, _, err = issuer.IssueAccess(tokens.AccessSubject{UserID: "doctor", SessionID: "doctor"}, now, now.Add(time.Minute))
	}
	if err == nil {
		_, err = issuer.VerifyAccess(token, now)
	}
	switch {
	case errors.Is(err, errFrozen):
		f.add("signing keys", isWarning, errFrozen.Error(), "")
	case errors.Is(err, tokens.ErrSealed):
		f.add("signing keys", isFailed, err.Error(), "put the secret that it was sealed under into secret_fallbacks")
	case err != nil:
		f.add("signing keys", isFailed, err.Error(), "")
	case cfg.Tokens.Algorithm == tokens.HS256:
		f.add("signing keys", isWarning, "HS256: whoever verifies tokens has the secret, and can make them", "tokens.algorithm: ES256, when every service can verify by the key set")
	default:
		f.add("signing keys", isOK, cfg.Tokens.Algorithm+": one signs now", "")
		return f.keyAges(ctx, cfg, issuer, now)
	}
	return nil
}

// oldKey is how old a key is that should have been rotated.
const oldKey = 365 * 24 * time.Hour

func (f *findings) keyAges(ctx context.Context, cfg config.Config, issuer *tokens.Service, now time.Time) (signers []string) {
	const check = "signing keys: age"
	keys, err := issuer.ListKeys(ctx)
	if err != nil {
		f.add(check, isFailed, err.Error(), "")
		return nil
	}
	for _, k := range keys {
		if k.State != tokens.StateSigning || k.Algorithm != cfg.Tokens.Algorithm {
			continue
		}
		signers = append(signers, k.KeyID)
		if k.SignsAt.IsZero() { // of a file
			continue
		}
		age := now.Sub(k.SignsAt)
		detail := fmt.Sprintf("%s signs for %d days", k.KeyID, int(age/(24*time.Hour)))
		if age > oldKey && cfg.Keys.RotateEvery == 0 {
			f.add(check, isWarning, detail, "gatehouse key rotate, or keys.rotate_every")
		} else {
			f.add(check, isOK, detail, "")
		}
	}
	return signers
}

// examineTokens makes the checks of an exchange.
func (c *cli) examineTokens(ctx context.Context, cfg config.Config, f doctorFlags) findings {
	var found findings
	if f.idToken == "" {
		found.add("tokens", isFailed, "an exchange needs the ID token too, and none is given", "--id-token-file; gatehouse token inspect looks into an access token alone")
		return found
	}
	var p cognito.Pair
	for _, file := range []struct {
		path string
		into *string
	}{{f.idToken, &p.IDToken}, {f.accessToken, &p.AccessToken}} {
		if file.path == "" {
			continue
		}
		raw, err := c.readToken(file.path)
		if err != nil {
			found.add("tokens", isFailed, err.Error(), "")
			return found
		}
		*file.into = raw
	}
	p.Nonce = f.nonce
	verifiers, set, err := identityProviders(cfg, nil, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		found.add("identity providers", isFailed, err.Error(), "")
		return found
	}
	var v *cognito.Verifier
	for _, one := range verifiers {
		if one.Name() == f.idp {
			v = one
		}
	}
	if f.idp != "" && v == nil {
		found.add("identity provider", isFailed, fmt.Sprintf("none is named %q", f.idp), "idps")
		return found
	}
	if v == nil && set != nil {
		v, err = set.Issuer(p.IDToken)
	}
	if v == nil {
		if err == nil {
			err = cognito.ErrIssuer
		}
		found.add("identity provider", isFailed, "the ID token is of none that is configured: "+reason(err), "name one with --idp, to see the other checks")
		return found
	}
	found.add("identity provider", isOK, v.Name(), "")
	return append(found, tokenFindings(v.Explain(ctx, p), "")...)
}
