package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/impl"
	"github.com/spf13/cobra"
)

// version is set by the linker; a build without it takes the module's.
var version string

// streams are the process's, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// cli is what every command shares.
type cli struct {
	streams
	configPath string
	json       bool
}

func newRoot(io streams) *cobra.Command {
	c := &cli{streams: io}
	root := &cobra.Command{
		Use:           "gatehouse",
		Short:         "A token service for single-page apps and the microservices behind them",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	group(root)
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.PersistentFlags().StringVar(&c.configPath, "config", os.Getenv("GATEHOUSE_CONFIG"), "the configuration file (YAML)")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON")
	root.AddCommand(c.serveCommand(), c.migrateCommand(), c.userCommand(), c.sessionCommand(), c.tokenCommand(), c.doctorCommand(), c.keyCommand(), c.clientCommand(), c.claimsCommand(), c.healthcheckCommand(), c.versionCommand())
	return root
}

// group makes a command out of one that only has subcommands: alone it helps,
// and with a word that is none of them it fails.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// load reads the configuration.
func (c *cli) load() (config.Config, error) {
	return config.Load(config.LoadOptions{Path: c.configPath, Environ: os.Environ()})
}

// newLogger writes as the configuration says.
func newLogger(to io.Writer, l config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(l.Level)) // the configuration is checked
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "text" {
		return slog.New(impl.LogHandler(slog.NewTextHandler(to, options)))
	}
	return slog.New(impl.LogHandler(slog.NewJSONHandler(to, options)))
}

// print writes v as JSON where that is asked for, and text otherwise.
func (c *cli) print(v any, text string) error {
	if !c.json {
		_, err := fmt.Fprintln(c.out, text)
		return err
	}
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.print(map[string]string{"version": buildVersion()}, buildVersion())
		},
	}
}

// buildVersion names this build.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
