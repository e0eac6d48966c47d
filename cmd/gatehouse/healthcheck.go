package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckCommand asks the running server whether it is ready, for container
// runtimes that have no HTTP client at hand.
func (c *cli) healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Ask the running server whether it is ready", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			host, port, err := net.SplitHostPort(cfg.Listen)
			if err != nil {
				return fmt.Errorf("listen: %w", err)
			}
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 3*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
			if err != nil {
				return err
			}
			direct := http.Client{Transport: &http.Transport{}} // HTTP_PROXY is for others than the server itself
			resp, err := direct.Do(req)
			if err != nil {
				return fmt.Errorf("the server does not answer: %w", err)
			}
			defer resp.Body.Close() //nolint:errcheck // only the status is read
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("the server is not ready: %s", resp.Status)
			}
			return c.print(map[string]string{"status": "ready"}, "ready")
		},
	}
}
