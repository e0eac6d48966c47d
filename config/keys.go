package config

import "time"

// Keys says how the keys that sign access tokens come and go; see docs/keys.md.
type Keys struct {
	JWKSMaxAge time.Duration `yaml:"jwks_max_age" doc:"How long verifiers may cache the published keys; servers read them anew every half of it."`
}

func (k *checker) keys(c Config) {
	k.demand(c.Keys.JWKSMaxAge >= time.Second && c.Keys.JWKSMaxAge <= 24*time.Hour, "keys.jwks_max_age must be between 1s and 24h")
}
