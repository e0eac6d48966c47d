package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Claim is one custom claim; see docs/claims.md.
type Claim struct {
	Name       string `yaml:"name" doc:"Of the claim."`
	Attribute  string `yaml:"attribute" doc:"A column of the user, or a path into attributes."`
	Expression string `yaml:"expression" doc:"Instead: an expression in CEL over user and session."`
	Webhook    string `yaml:"webhook" doc:"Instead: the url of one of webhooks."`
	Default    Value  `yaml:"default" doc:"Any value: stands where there is none, and where the expression or the webhook fails."`
}

// Webhook is one service that claims come from.
type Webhook struct {
	URL           string        `yaml:"url" doc:"Where the requests go: https, or http on a loopback address."`
	SecretFile    string        `yaml:"secret_file" doc:"File with the secret that signs them, whsec_...; of several, one a line, each signs."`
	Timeout       time.Duration `yaml:"timeout" doc:"Of one attempt; 1s where it is not given."`
	Deadline      time.Duration `yaml:"deadline" doc:"Of all attempts together; 3s where it is not given."`
	Attempts      int           `yaml:"attempts" doc:"At most; 3 where it is not given."`
	MaxConcurrent int           `yaml:"max_concurrent" doc:"Requests at once, the others wait; 64 where it is not given."`
}

// Value is any value that JSON has, as JSON; the zero Value is none.
type Value struct{ JSON json.RawMessage }

// valueOf reads a node as JSON would: a date is text.
func valueOf(node *yaml.Node) (Value, error) {
	if err := plain(node); err != nil {
		return Value{}, err
	}
	var v any
	if err := node.Decode(&v); err != nil {
		return Value{}, err
	}
	text, err := json.Marshal(v)
	return Value{text}, err
}

// plain refuses what JSON has not, and makes text of dates.
func plain(node *yaml.Node) error {
	if node.Kind == yaml.AliasNode {
		return errors.New("aliases are not taken")
	}
	switch node.ShortTag() {
	case "!!timestamp":
		node.Tag = "!!str"
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
	default:
		return errors.New("JSON has no such value")
	}
	for _, inner := range node.Content {
		if err := plain(inner); err != nil {
			return err
		}
	}
	return nil
}

// claims leaves the names and the expressions to those who evaluate them.
func (k *checker) claims(c Config) {
	urls := make([]string, 0, len(c.Webhooks))
	for i, w := range c.Webhooks {
		k.url(fmt.Sprintf("webhooks[%d].url", i), w.URL)
		k.demand(!slices.Contains(urls, w.URL), "webhooks[%d].url is given twice", i)
		k.demand(w.SecretFile != "", "webhooks[%d].secret_file is required: whsec_ and the output of openssl rand -base64 32", i)
		k.demand(w.Timeout >= 0 && w.Attempts >= 0 && w.MaxConcurrent >= 0, "webhooks[%d]: no limit can be negative", i)
		k.demand(w.Deadline >= 0 && w.Deadline < c.Server.RequestTimeout, "webhooks[%d].deadline must be less than server.request_timeout", i)
		k.demand(w.Deadline == 0 || w.Deadline >= w.Timeout, "webhooks[%d].deadline must not be less than its timeout", i)
		urls = append(urls, w.URL)
	}
	// What may hold a password, which is refused elsewhere, is not repeated.
	public := slices.DeleteFunc(slices.Clone(urls), func(u string) bool { return strings.Contains(u, "@") })
	for i, claim := range c.Claims {
		sources := 0
		for _, given := range [...]string{claim.Attribute, claim.Expression, claim.Webhook} {
			if given != "" {
				sources++
			}
		}
		k.demand(claim.Name != "" && sources == 1, "claims[%d] needs a name, and one of attribute, expression and webhook", i)
		k.demand(claim.Webhook == "" || slices.Contains(urls, claim.Webhook), "claims[%d].webhook is the url of none of webhooks%s", i, suggestion(claim.Webhook, public))
	}
	for _, field := range c.UserFields {
		k.demand(slices.Contains(userFields, field), "user_fields: there is no %q%s", field, suggestion(field, userFields))
	}
	k.demand(c.Tokens.MaxBytes >= 1024 && c.Tokens.MaxBytes <= 16<<10, "tokens.max_bytes must be between 1024 and 16384")
}
