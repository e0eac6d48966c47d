package jwks

import "context"

// Flight is a fetch that is under way, which any number may wait for.
type Flight struct {
	done chan struct{} // closed at the end
	err  error         // to be read after it
}

// NewFlight begins one.
func NewFlight() *Flight { return &Flight{done: make(chan struct{})} }

// Land says how it ended, once.
func (f *Flight) Land(err error) {
	f.err = err
	close(f.done)
}

// Wait returns how it ended, or the context's error where that ends before.
func (f *Flight) Wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
