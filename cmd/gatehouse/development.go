package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/repo"
	"github.com/google/uuid"
)

// firstUser is the name of the user that --development makes.
const firstUser = "admin"

// prepareDevelopment gives the configuration a secret, where that is safe: for
// an embedded database on a loopback address.
func (c *cli) prepareDevelopment(cfg *config.Config) error {
	path, embedded := sqlitePath(*cfg)
	host, _, err := net.SplitHostPort(cfg.Listen)
	ip := net.ParseIP(host)
	if err != nil || !embedded || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("--development needs an embedded database and a loopback address to listen on")
	}
	if cfg.Secret != "" {
		return nil
	}
	secret, _, err := config.EnsureDevelopmentSecret(path)
	if err != nil {
		return err
	}
	cfg.Secret = secret
	return nil
}

// exports says how the other commands find the secret that was made, and the
// issuer where it is not the usual one; nothing where the secret is another.
func exports(cfg config.Config) string {
	path, _ := sqlitePath(cfg)
	made, err := os.ReadFile(path + ".secret")
	if err != nil || strings.TrimSpace(string(made)) != cfg.Secret {
		return ""
	}
	text := fmt.Sprintf("For the commands that need its secret, such as `bin/gatehouse key list`:\n\n    export GATEHOUSE_SECRET_FILE=%s.secret", path)
	if cfg.Issuer != config.Default().Issuer {
		text += " GATEHOUSE_ISSUER=" + cfg.Issuer
	}
	return text + "\n\n"
}

// welcome makes the first user where there is none, and says how to sign in.
func (c *cli) welcome(ctx context.Context, cfg config.Config, store repo.Repository, addr net.Addr) error {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}
	base := "http://localhost:" + port
	users, err := store.ListUsers(ctx, "", 1)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "\nGatehouse is at %s\n%s", base, exports(cfg))
	if len(users) > 0 {
		fmt.Fprintf(c.out, "There are users already; `bin/gatehouse user add NAME --password-stdin` adds another.\n\n")
		return nil
	}
	hasher, err := newHasher(cfg)
	if err != nil {
		return err
	}
	plain := strings.ToLower(rand.Text())[:20]
	encoded, err := hasher.Hash(ctx, plain)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	if err := store.CreateUser(ctx, repo.User{
		ID: uuid.Must(uuid.NewV7()).String(), Username: firstUser, Password: encoded,
		IsActive: true, IsStaff: true, IsSuperuser: true, DateJoined: now, UpdatedAt: now,
	}); err != nil {
		return err
	}
	fmt.Fprintf(c.out, `It made a first user; this is the only time that the password is shown:

    username  %s
    password  %s

Sign in:

    curl -c cookies.txt -H 'Content-Type: application/json' \
      -d '{"username": "%s", "password": "%s"}' %s%s/sign-in/

`, firstUser, plain, firstUser, plain, base, cfg.BasePath)
	return nil
}
