package claims

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

// Explained is how one claim came about.
type Explained struct {
	Name    string        // empty: of a function that failed
	Value   any           // as in Evaluate
	Absent  bool          // the token has no such claim
	From    string        // "attribute is_staff", "expression", "webhook https://...", "function"
	Default bool          // the value is the rule's default
	Took    time.Duration // those of one webhook, and of the function, share theirs
	Err     error         // why there is no value, or a default for one; nil also where there simply was none
}

// Explain is Evaluate for a person who wants to know: it goes on where a claim
// fails, and says of each where it came from. What a token would not be made
// for has an Err and neither Default nor a value.
func (s *Set) Explain(ctx context.Context, about Subject) []Explained {
	sub := &subject{Subject: about}
	var all []Explained
	for i := range s.local {
		r := &s.local[i]
		start := time.Now()
		v, fellBack, err := s.settle(ctx, r, sub)
		e := Explained{Name: r.name, Value: v, From: r.from, Default: fellBack, Took: time.Since(start), Err: err}
		if errors.Is(err, errAbsent) {
			e.Absent, e.Err = true, nil
		}
		all = append(all, e)
	}
	if len(s.remotes) == 0 {
		return all
	}
	for i, reply := range s.askEach(ctx, sub) {
		from := s.remotes[i].from()
		for _, r := range s.remotes[i].asked() {
			e := Explained{Name: r.name, Value: reply.claims[r.name], From: from, Took: reply.took, Err: reply.err}
			if reply.err != nil && r.hasFallback {
				e.Value, e.Default = r.fallback, true
			}
			all = append(all, e)
		}
		if s.remotes[i].asked() == nil {
			all = append(all, explainFunction(from, reply)...)
		}
	}
	return all
}

func explainFunction(from string, reply reply) []Explained {
	if reply.err != nil {
		return []Explained{{From: from, Took: reply.took, Err: reply.err}}
	}
	var all []Explained
	for name, v := range reply.claims {
		all = append(all, Explained{Name: name, Value: v, From: from, Took: reply.took})
	}
	slices.SortFunc(all, func(a, b Explained) int { return strings.Compare(a.Name, b.Name) })
	return all
}
