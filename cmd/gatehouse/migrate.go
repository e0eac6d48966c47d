package main

import (
	"fmt"

	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/spf13/cobra"
)

func (c *cli) migrateCommand() *cobra.Command {
	migrate := group(&cobra.Command{Use: "migrate", Short: "Change the schema of the database"})
	step := func(use, short string, do func(*cobra.Command, store) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: c.withDatabase(func(cmd *cobra.Command, _ config.Config, store store, _ []string) error {
			if err := do(cmd, store); err != nil {
				return err
			}
			status, err := store.MigrationStatus(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(status, fmt.Sprintf("the schema is at version %d of %d", status.Current, status.Latest))
		})}
	}
	migrate.AddCommand(
		step("up", "Bring the schema up to date", func(cmd *cobra.Command, s store) error { return s.Migrate(cmd.Context()) }),
		step("down", "Take the latest migration back, with the data that only it has",
			func(cmd *cobra.Command, s store) error { return s.MigrateDown(cmd.Context()) }),
		step("status", "Say where the schema stands", func(*cobra.Command, store) error { return nil }))
	return migrate
}
