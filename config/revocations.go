package config

import "time"

// Revocations says how the statement of what was revoked is made.
type Revocations struct {
	Interval time.Duration `yaml:"interval" doc:"How old the statement of revocations may be that is handed out: a revocation is in it that much later."`
	MaxAge   time.Duration `yaml:"max_age" doc:"How long a service may go on with the last one while it can't get another."`
}

func (k *checker) revocations(c Config) {
	r := c.Revocations
	k.demand(r.Interval >= time.Second && r.Interval <= time.Minute, "revocations.interval must be between 1s and 1m")
	k.demand(r.MaxAge >= 2*r.Interval && r.MaxAge <= time.Hour, "revocations.max_age must be at least twice revocations.interval, and at most 1h")
}
