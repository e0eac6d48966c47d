package main

import (
	"github.com/gatehouse-auth/gatehouse/config"
	"github.com/gatehouse-auth/gatehouse/impl"
)

func forwardHeaders(c config.Config) []impl.ForwardHeader {
	headers := make([]impl.ForwardHeader, 0, len(c.Forward.Headers))
	for _, h := range c.Forward.Headers {
		headers = append(headers, impl.ForwardHeader{Name: h.Header, Claim: h.Claim})
	}
	return headers
}
