// Package e2e tests the program as its users meet it: the real binary, over
// HTTP, beside real programs of others. It has no code of its own.
package e2e
