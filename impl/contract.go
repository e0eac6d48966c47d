package impl

import (
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// Contract is the OpenAPI document that requests are validated against, and that
// is served as it was written. It may be shared.
type Contract struct {
	text []byte
	doc  *openapi3.T
}

// NewContract reads a document in YAML or JSON. It takes milliseconds.
func NewContract(text []byte) (*Contract, error) {
	// Faster than api.GetSpec, whose one long line YAML's reader suffers from.
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("impl: reading the contract: %w", err)
	}
	return &Contract{text, doc}, nil
}
