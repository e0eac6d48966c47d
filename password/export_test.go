package password

import "context"

// Acquire takes a place, as a hash does, until the returned function is called.
func Acquire(h *Hasher, ctx context.Context) (func(), error) { return h.acquire(ctx) } //nolint:revive // mirrors the method
