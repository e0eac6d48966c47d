package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func (c *cli) serveCommand() *cobra.Command {
	var migrate, development bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Long: "Runs the server until it is told to stop, and then finishes the requests in flight; told again, it ends at once. " +
			"The embedded database is migrated at start, Postgres with --migrate.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(config.LoadOptions{Path: c.configPath, Environ: os.Environ(), Development: development})
			if err != nil {
				return err
			}
			if development {
				if err := c.prepareDevelopment(&cfg); err != nil {
					return err
				}
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			ctx, stop := untilTold(cmd.Context())
			defer stop()
			return c.serve(ctx, cfg, migrate, development)
		},
	}
	cmd.Flags().BoolVar(&migrate, "migrate", false, "bring the schema of the database up to date first")
	cmd.Flags().BoolVar(&development, "development", false,
		"make what is missing to try it out: a secret beside the embedded database, a first user, and an issuer by the port")
	return cmd
}

// serve runs the server until the context ends.
func (c *cli) serve(ctx context.Context, cfg config.Config, migrate, development bool) error {
	memory := limitMemory(cfg.Passwords) // before the start makes its garbage
	contract := readContract()
	logger := newLogger(c.err, cfg.Log)
	store, err := openStore(cfg)
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // the process ends
	if err := prepareStore(ctx, cfg, store, migrate); err != nil {
		return err
	}
	closing, announce := context.WithCancel(context.Background())
	defer announce()
	m := newMetrics()
	svc, err := wire(ctx, cfg, store, contract, logger, m, closing)
	if err != nil {
		return err
	}
	m.watch(svc)
	// The port is taken before anything says that it is there.
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", cfg.Listen, err)
	}
	if development {
		if err := c.welcome(ctx, cfg, store, listener.Addr()); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	logger.Info("serving", "address", listener.Addr().String(), "issuer", cfg.Issuer, "version", buildVersion())

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watchMemory(ctx, memory) })
	group.Go(func() error { return ignoreEnd(svc.tokens.Run(ctx)) })
	if svc.keySets != nil {
		group.Go(func() error { return ignoreEnd(svc.keySets.Run(ctx)) })
	}
	group.Go(func() error { return ignoreEnd(svc.sweeper.Run(ctx)) })
	if cfg.MetricsListen != "" {
		group.Go(func() error { return m.serve(ctx, cfg, logger) })
	}
	group.Go(func() error { return listenUntil(ctx, cfg, listener, svc.handler, announce, logger) })
	<-ctx.Done()
	// Whoever writes a line waits where nobody reads the log; the end must not.
	if !within(cfg.Server.ShutdownDelay+cfg.Server.ShutdownTimeout+lastLines, func() {
		err = group.Wait()
		logger.Info("stopped")
	}) {
		return errors.New("stopping: it has not ended in time, or nobody reads the log")
	}
	return err
}

// listenUntil serves until the context ends and the delay after it, and then finishes the
// requests in flight; announce makes the readiness say so.
func listenUntil(
	ctx context.Context, cfg config.Config, listener net.Listener, handler http.Handler, announce func(), logger *slog.Logger,
) error {
	server := &http.Server{
		Handler: handler, MaxHeaderBytes: 32 << 10,
		ReadHeaderTimeout: cfg.Server.ReadTimeout, ReadTimeout: cfg.Server.ReadTimeout,
		WriteTimeout: cfg.Server.WriteTimeout, IdleTimeout: cfg.Server.IdleTimeout,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	announce()
	logger.Info("stopping", "delay", cfg.Server.ShutdownDelay.String(), "timeout", cfg.Server.ShutdownTimeout.String())
	<-time.After(cfg.Server.ShutdownDelay)
	// The requests in flight must outlive the context that told us to stop.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Server.ShutdownTimeout)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		return fmt.Errorf("finishing the requests in flight: %w", err)
	}
	return nil
}

// ignoreEnd drops the error that only says that the server was told to stop.
func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
