// Package gatehouse holds what is made from the contract: openapi.yaml is the
// source of truth, and api/ is generated from it.
package gatehouse

import _ "embed"

//go:generate go tool oapi-codegen -config api/oapi-codegen.yaml openapi.yaml

// OpenAPI is the contract as it was written, served at /openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte
