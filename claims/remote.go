package claims

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// counts is how often a remote was asked, and how often in vain.
type counts struct{ asked, failed atomic.Int64 }

// Source is a webhook, or the function, with how often it was asked.
type Source struct {
	Name          string // its URL, or "function"
	Asked, Failed int64
}

// Sources returns what Evaluate and Explain have asked so far.
func (s *Set) Sources() []Source {
	sources := make([]Source, len(s.remotes))
	for i, r := range s.remotes {
		sources[i] = Source{strings.TrimPrefix(r.from(), "webhook "), s.asked[i].asked.Load(), s.asked[i].failed.Load()}
	}
	return sources
}

// reply is what came of asking one remote.
type reply struct {
	claims map[string]any
	err    error
	took   time.Duration
}

// askEach asks all remotes at once and waits for them.
func (s *Set) askEach(ctx context.Context, sub *subject) []reply {
	replies := make([]reply, len(s.remotes))
	done := make(chan struct{})
	if _, err := sub.attributes(); err != nil { // decoded here, once, and not by all of them
		for i := range replies {
			replies[i].err = err
		}
		return replies
	}
	for i, r := range s.remotes {
		go func() {
			start := time.Now()
			claims, err := r.ask(ctx, sub)
			s.asked[i].asked.Add(1)
			if err != nil {
				s.asked[i].failed.Add(1)
				err = fmt.Errorf("%w: %s: %w", ErrUnavailable, r.from(), err)
			}
			replies[i] = reply{claims, err, time.Since(start)}
			done <- struct{}{}
		}()
	}
	for range s.remotes {
		<-done
	}
	return replies
}

// askAll adds what the remotes answer to the claims.
func (s *Set) askAll(ctx context.Context, sub *subject, claims map[string]any) error {
	for i, reply := range s.askEach(ctx, sub) {
		if reply.err == nil {
			for name, v := range reply.claims {
				claims[name] = v
			}
			continue
		}
		asked := s.remotes[i].asked()
		if asked == nil {
			return reply.err
		}
		for _, r := range asked {
			if !r.hasFallback {
				return fmt.Errorf("claim %q: %w", r.name, reply.err)
			}
			claims[r.name] = r.fallback
		}
		s.logger.WarnContext(ctx, "the defaults of claims stand for a failure", "error", reply.err)
	}
	return nil
}
