// Package config is every setting of the program: one struct, its defaults, its
// checks, and how it is read from a YAML file and the environment.
//
// [Load] reads, [Config.Validate] checks what a server needs, and
// [EnsureDevelopmentSecret] makes a secret to try things out.
package config
