package main

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/gatehouse-auth/gatehouse/session"
	"github.com/gatehouse-auth/gatehouse/tokens"
)

// keepEnded is how long the rows of what has ended stay, to say why.
const keepEnded = 24 * time.Hour

func newRevocations(c config.Config, store repo.Repository, issuer *tokens.Service) (*session.Revocations, error) {
	return session.NewRevocations(session.RevocationsConfig{
		Store: store, Signer: issuer, AccessLifetime: c.Tokens.AccessLifetime, Leeway: c.Tokens.Leeway,
		Interval: c.Revocations.Interval, MaxAge: c.Revocations.MaxAge,
	})
}
