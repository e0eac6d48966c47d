package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/cognito"
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/internal/jws"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
	"github.com/spf13/cobra"
)

// maxTokenFile is more than any token that is taken.
const maxTokenFile = 32 << 10

func (c *cli) tokenCommand() *cobra.Command {
	cmd := group(&cobra.Command{Use: "token", Short: "Look into a token"})
	var path string
	inspect := &cobra.Command{
		Use: "inspect", Short: "Say what a token is, whether it verifies, and what became of its session", Args: cobra.NoArgs,
		Long: "Reads a token, or the value of a refresh cookie, from standard input or a file: never from the command line, which\n" +
			"others can read. Says of which kind it is, what is in it, whether it verifies, and for a token of ours what became\n" +
			"of its session. The token itself is not printed. Nothing is changed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			raw, err := c.readToken(path)
			if err != nil {
				return err
			}
			r, err := inspectToken(cmd.Context(), cfg, raw, time.Now().UTC())
			if err != nil {
				return err
			}
			return c.print(r, r.text())
		},
	}
	inspect.Flags().StringVar(&path, "file", "", "the file with the token; - or nothing: standard input")
	cmd.AddCommand(inspect)
	return cmd
}

// readToken reads a token from a file, or from standard input.
func (c *cli) readToken(path string) (string, error) {
	if path == "" {
		path = "-"
	}
	raw, err := c.readAtMost(path, maxTokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(raw)), "Bearer "), nil
}

// The kinds of token.
const (
	kindRefresh = "refresh token of this service"
	kindAccess  = "access token of this service"
	kindUnknown = "token of an issuer that is not configured"
)

// tokenReport is what is known of a token.
type tokenReport struct {
	Kind       string         `json:"kind"`
	Header     map[string]any `json:"header"`
	Claims     map[string]any `json:"claims"`
	Times      []claimTime    `json:"times"`
	Checks     findings       `json:"checks"`
	Presenting string         `json:"presenting,omitempty"` // what would come of a refresh with it
	Session    *sessionReport `json:"session,omitempty"`
}

// claimTime is a claim that is a time.
type claimTime struct {
	Claim string    `json:"claim"`
	At    time.Time `json:"at"`
	Words string    `json:"words"`
}

// inspectToken takes a token apart and asks everybody who may know of it.
func inspectToken(ctx context.Context, cfg config.Config, raw string, now time.Time) (tokenReport, error) {
	var r tokenReport
	if strings.Contains(raw, ":") {
		jar, _, err := cookieJars(cfg)
		if err != nil {
			return r, err
		}
		value, at, err := jar.Unsign(strings.Trim(raw, `"`))
		if err != nil {
			return r, errors.New("it looks like a cookie, and is not signed by this service's secrets with cookies.salt")
		}
		raw = value
		r.Checks.add("cookie", isOK, "signed "+words(at, now), "")
	}
	parts, ok := jws.Split(raw, maxTokenFile)
	header, okHeader := jws.Object(parts.Header)
	claims, okClaims := jws.Object(parts.Payload)
	if !ok || !okHeader || !okClaims {
		return r, errors.New("it is not a token: a JWT has three parts of base64url, the first two of them JSON objects")
	}
	r.Header, r.Claims, r.Times = header, claims, timesOf(claims, now)
	kind, _ := claims["token_type"].(string)
	issuer, _ := claims["iss"].(string)
	switch {
	case kind == "refresh" && issuer == "":
		r.Kind = kindRefresh
		return r, r.ours(ctx, cfg, raw, now)
	case kind == "access", issuer == cfg.Issuer:
		r.Kind = kindAccess
		return r, r.ours(ctx, cfg, raw, now)
	}
	return r, r.theirs(ctx, cfg, raw)
}

// ours verifies a token of this service, and looks for its session.
func (r *tokenReport) ours(ctx context.Context, cfg config.Config, raw string, now time.Time) error {
	store, err := openExisting(ctx, cfg)
	if err != nil {
		r.Checks.add("database", isFailed, err.Error(), "the keys and the session are there")
		return nil
	}
	defer store.Close() //nolint:errcheck // it is only read
	issuer, err := newTokens(cfg, frozenKeys{store}, slog.New(slog.DiscardHandler))
	if err == nil && r.Kind == kindAccess { // refresh tokens are signed under the secret itself
		err = issuer.Load(ctx)
	}
	if err != nil {
		r.Checks.add("keys", isFailed, err.Error(), "")
		return nil
	}
	var generation int64
	if r.Kind == kindRefresh {
		var parsed tokens.Refresh
		parsed, err = issuer.ParseRefresh(raw)
		generation = parsed.Generation
	} else {
		_, err = issuer.VerifyAccess(raw, now)
	}
	r.Checks.add(r.Kind, map[bool]string{true: isOK, false: isFailed}[err == nil], "verifies", "")
	if err != nil {
		r.Checks[len(r.Checks)-1].Detail = reason(err)
	}
	id, _ := r.Claims["sid"].(string)
	if id == "" || err != nil && !errors.Is(err, tokens.ErrExpired) {
		return nil // whoever made it up chose the session too
	}
	userID, _ := r.Claims["sub"].(string)
	a := &admin{config: cfg, store: store}
	report, err := a.explain(ctx, id, userID, now)
	if err != nil {
		return err
	}
	r.Session = &report
	if generation > 0 {
		su, err := store.FindSession(ctx, id)
		if err != nil && !errors.Is(err, repo.ErrNotFound) {
			return err
		}
		r.Presenting = outcomeWords(session.Decide(session.StateOf(su), session.Presented{Generation: generation}, policyOf(cfg), now))
	}
	return nil
}

// theirs verifies a token of an identity provider.
func (r *tokenReport) theirs(ctx context.Context, cfg config.Config, raw string) error {
	r.Kind = kindUnknown
	_, set, err := identityProviders(cfg, nil, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	if set == nil {
		return nil
	}
	v, err := set.Issuer(raw)
	if err != nil {
		return nil //nolint:nilerr // it is of no configured issuer
	}
	of := "ID token"
	if use, _ := r.Claims["token_use"].(string); use == "access" {
		of = "access token"
	}
	r.Kind = of + " of " + v.Name()
	r.Checks = append(r.Checks, tokenFindings(v.Explain(ctx, cognito.Pair{IDToken: raw, AccessToken: raw}), of)...)
	return nil
}

// outcomeWords says what comes of presenting a refresh token.
func outcomeWords(out session.Outcome) string {
	switch out.Kind {
	case session.Rotate:
		return "it is the current one, and would be followed by a new one"
	case session.Retry:
		return "it was followed by another a moment ago, and would get the same successor again"
	case session.LateRetry:
		return "it was followed by another, and would get the same successor for one of the session's late retries"
	case session.Reuse:
		return "it would end the session: " + out.Reason.String()
	}
	return "it is refused, for the session is over: " + out.Reason.String()
}

// timesOf are the claims that are times, in their order.
func timesOf(claims map[string]any, now time.Time) []claimTime {
	times := []claimTime{}
	for _, name := range []string{"iat", "nbf", "auth_time", "exp"} {
		n, ok := claims[name].(json.Number)
		seconds, err := n.Float64()
		if ok && err == nil && seconds > 0 && seconds < 1<<38 {
			at := time.Unix(int64(seconds), 0).UTC()
			times = append(times, claimTime{name, at, words(at, now)})
		}
	}
	return times
}

// words says when something was or will be.
func words(at, now time.Time) string {
	d := now.Sub(at).Round(time.Second)
	if d < 0 {
		return fmt.Sprintf("%s (in %s)", timeOrDash(at), -d)
	}
	return fmt.Sprintf("%s (%s ago)", timeOrDash(at), d)
}

// text is the report for a reader.
func (r tokenReport) text() string {
	lines := []string{r.Kind}
	for _, part := range []struct {
		name    string
		members map[string]any
	}{{"header", r.Header}, {"claims", r.Claims}} {
		lines = append(lines, "", part.name)
		for _, name := range slices.Sorted(maps.Keys(part.members)) {
			value, _ := json.Marshal(part.members[name]) // it was read from JSON
			lines = append(lines, "  "+shown(name)+" = "+shown(string(value)))
		}
	}
	lines = append(lines, "")
	for _, t := range r.Times {
		lines = append(lines, fmt.Sprintf("%-12s%s", t.Claim, t.Words))
	}
	if len(r.Checks) > 0 {
		lines = append(lines, "", r.Checks.text())
	}
	if r.Presenting != "" {
		lines = append(lines, "", "presented now: "+r.Presenting)
	}
	if r.Session != nil {
		lines = append(lines, "", r.Session.text())
	}
	return strings.Join(lines, "\n")
}

// frozenKeys are signing keys that can't be changed.
type frozenKeys struct{ tokens.KeyStore }

var errFrozen = errors.New("there is no signing key yet; the first start makes one")

// SwapSigningKeys refuses to.
func (frozenKeys) SwapSigningKeys(context.Context, []repo.SigningKey, []repo.SigningKey) error {
	return errFrozen
}

var errNoDatabase = errors.New("there is no database yet; the first start makes one")

// openExisting opens the database as it is: it makes none, and changes no schema.
func openExisting(ctx context.Context, cfg config.Config) (store, error) {
	if path, embedded := sqlitePath(cfg); embedded {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s", errNoDatabase, path)
		}
	}
	s, err := openStore(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
