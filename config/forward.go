package config

import (
	"regexp"
	"slices"
	"strings"
)

// Forward says what proxies are told that ask whether to let a request pass.
type Forward struct {
	Headers []ForwardHeader `yaml:"headers" doc:"Claims that proxies get in headers, a list of {header, claim}; see docs/forward-auth.md."`
}

// ForwardHeader is a header with a claim.
type ForwardHeader struct {
	Header string `yaml:"header" doc:"Name of the header, which begins with X-."`
	Claim  string `yaml:"claim" doc:"Name of the claim in the access token."`
}

// An underscore in a header's name is a dash to half of the programs behind a proxy.
var forwardHeader = regexp.MustCompile(`^X-[A-Za-z0-9-]*[A-Za-z0-9]$`)

// takenHeaders are those that the answers have anyway.
var takenHeaders = []string{
	"x-auth-request-user", "x-auth-request-preferred-username", "x-auth-request-email", "x-request-id", "x-content-type-options",
}

func (k *checker) forward(c Config) {
	seen := slices.Clone(takenHeaders)
	for i, h := range c.Forward.Headers {
		folded := strings.ToLower(h.Header)
		k.demand(forwardHeader.MatchString(h.Header), "forward.headers[%d].header must be X- with letters, digits and dashes", i)
		k.demand(!slices.Contains(seen, folded), "forward.headers[%d].header: %q is taken", i, h.Header)
		k.demand(h.Claim != "", "forward.headers[%d] needs a claim", i)
		seen = append(seen, folded)
	}
}
