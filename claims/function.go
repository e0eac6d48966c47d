package claims

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-auth/gatehouse/internal/jws"
)

// Func computes claims in Go, for a program that embeds this package. It is
// called for each token that is made, and by many goroutines at once. What it
// returns is held to the same rules as a webhook's answer, and written as
// encoding/json writes it. The context ends with the request, or after
// Config.FunctionTimeout; a function that goes on all the same is left behind.
type Func func(ctx context.Context, about Subject) (map[string]any, error)

const defaultFunctionTimeout = 3 * time.Second

// function is a Func with its bounds.
type function struct {
	call    Func
	timeout time.Duration
	names   *names
	gate    *gate
}

func newFunction(c Config, n *names) *function {
	if c.FunctionTimeout <= 0 {
		c.FunctionTimeout = defaultFunctionTimeout
	}
	return &function{c.Function, c.FunctionTimeout, n, newGate(defaultMaxConcurrent, c.Now)}
}

func (f *function) from() string  { return "function" }
func (f *function) asked() []rule { return nil }

// ask calls the function in a goroutine of its own, which it can't leave behind more often than the gate has slots.
func (f *function) ask(ctx context.Context, s *subject) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := f.gate.enter(ctx); err != nil {
		return nil, err
	}
	type result struct {
		claims map[string]any
		err    error
	}
	about := s.Subject
	about.User.Attributes = bytes.Clone(about.User.Attributes) // its own to change
	done := make(chan result, 1)
	go func() {
		claims, err := f.answer(ctx, about)
		f.gate.leave(outcomeOf(ctx, ctx.Err() != nil))
		done <- result{claims, err}
	}()
	select {
	case r := <-done:
		return r.claims, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("it does not return: %w", context.Cause(ctx))
	}
}

// answer makes plain values of what the function returns, and an error of a panic, whose value may be anything.
func (f *function) answer(ctx context.Context, about Subject) (claims map[string]any, err error) {
	defer func() {
		if recover() != nil {
			claims, err = nil, errors.New("it panicked")
		}
	}()
	given, err := f.call(ctx, about)
	if err != nil || len(given) == 0 {
		return nil, err
	}
	raw, err := json.Marshal(given)
	if err != nil {
		return nil, errors.New("what it returns can't be written as JSON")
	}
	if len(raw) > maxAnswerBytes {
		return nil, fmt.Errorf("what it returns has more than %d bytes", maxAnswerBytes)
	}
	claims, ok := jws.ObjectOf(raw)
	if !ok || !readable(claims, maxDepth+1) {
		return nil, errors.New("what it returns names a member twice, nests too deep, or has a number that no double holds")
	}
	own := names{f.names.reserved, map[string]bool{}}
	for name := range claims {
		err := own.take(name)
		if err == nil && f.names.taken[fold(name)] {
			err = ErrDuplicate
		}
		if err != nil {
			return nil, fmt.Errorf("it returns a claim %.40q: %w", name, err)
		}
	}
	return claims, nil
}
