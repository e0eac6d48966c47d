package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/gatehouse-auth/gatehouse/claims"
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// newClaims compiles the rules for custom claims, and checks that a token has
// room for what is known of them.
func newClaims(c config.Config, issuer *tokens.Service, logger *slog.Logger) (*claims.Set, error) {
	cc := claims.Config{UserIDClaim: c.Tokens.UserIDClaim, Logger: logger}
	for _, r := range c.Claims {
		cc.Rules = append(cc.Rules, claims.Rule{
			Name: r.Name, Attribute: r.Attribute, Expression: r.Expression, Webhook: r.Webhook, Default: r.Default.JSON,
		})
	}
	for _, w := range c.Webhooks {
		secrets, err := os.ReadFile(w.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: the secret: %w", w.URL, err)
		}
		cc.Webhooks = append(cc.Webhooks, claims.Webhook{
			URL: w.URL, Secrets: strings.Fields(string(secrets)),
			Timeout: w.Timeout, Deadline: w.Deadline, Attempts: w.Attempts, MaxConcurrent: w.MaxConcurrent,
		})
	}
	set, err := claims.New(cc)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	least := tokens.AccessSubject{UserID: "0", SessionID: nobodysSession, Custom: set.Defaults()}
	if _, err := issuer.AccessSize(least); errors.Is(err, tokens.ErrTooLarge) {
		return nil, fmt.Errorf("claims: with nothing but their defaults (tokens.max_bytes): %w", err)
	}
	return set, nil
}
