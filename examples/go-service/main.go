// A service that believes Gatehouse's access tokens: it tells who asks what the
// token says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse-auth/gatehouse/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until the context ends.
func run(ctx context.Context, getenv func(string) string) error {
	handler, err := service(ctx, getenv)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", getenv("LISTEN"))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "listening at http://"+listener.Addr().String())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.WithoutCancel(ctx))
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// modes are what REVOCATIONS may be.
var modes = map[string]verify.Revocations{
	"": verify.RevocationsOff, "prefer": verify.PreferRevocations, "require": verify.RequireRevocations,
}

func service(ctx context.Context, getenv func(string) string) (http.Handler, error) {
	revocations, known := modes[getenv("REVOCATIONS")]
	if !known {
		return nil, fmt.Errorf("REVOCATIONS is %q; it may be prefer, require or empty", getenv("REVOCATIONS"))
	}
	tokens, err := verify.New(verify.Config{
		Issuer:      getenv("ISSUER"),   // https://auth.example.com
		Audience:    getenv("AUDIENCE"), // one of the issuer's tokens.audience
		Revocations: revocations,        // off, preferred or required
		Logger:      slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	go tokens.Run(ctx)
	mux := http.NewServeMux()
	mux.Handle("GET /me", tokens.Middleware(http.HandlerFunc(me)))
	return mux, nil
}

func me(w http.ResponseWriter, r *http.Request) {
	claims, _ := verify.FromContext(r.Context())
	var custom struct {
		Department string `json:"department"`
	}
	if err := claims.Decode(&custom); err != nil {
		http.Error(w, "the token has claims of another form", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"id": claims.UserID, "department": custom.Department})
}
