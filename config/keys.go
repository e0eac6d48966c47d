package config

import "time"

// Keys says how the keys that sign access tokens come and go; see docs/keys.md.
type Keys struct {
	JWKSMaxAge  time.Duration `yaml:"jwks_max_age" doc:"How long verifiers may cache the published keys; servers read them anew every half of it."`
	RotateEvery time.Duration `yaml:"rotate_every" doc:"How long a key signs before the next one takes over; 0s: until gatehouse key rotate."`
	File        string        `yaml:"file" doc:"A file with a private JWK Set that signs, for keys that are kept elsewhere; empty: the keys are in the database."`
}

func (k *checker) keys(c Config) {
	o := c.Keys
	k.demand(o.JWKSMaxAge >= time.Second && o.JWKSMaxAge <= 24*time.Hour, "keys.jwks_max_age must be between 1s and 24h")
	k.demand(o.File == "" || c.Tokens.Algorithm != "HS256", "keys.file is of no use with tokens.algorithm HS256, whose key is the secret")
	k.demand(o.File == "" || o.RotateEvery == 0, "keys.rotate_every is of no use with keys.file, which is changed by whoever keeps it")
	// The lead is that of package tokens. A key signs for at least as long as it was only published before.
	lead := 2*o.JWKSMaxAge + c.Tokens.Leeway
	k.demand(o.RotateEvery == 0 || o.RotateEvery >= 2*lead,
		"keys.rotate_every must be 0s (never), or at least %v: twice what a new key is published before it signs (2 × keys.jwks_max_age + tokens.leeway)", 2*lead)
}
