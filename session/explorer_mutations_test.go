package session_test

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// The rows of the table of outcomes.
const (
	rowCurrent     = "the current token"
	rowGrace       = "the previous token, within the grace"
	rowLate        = "the previous token, later"
	rowReuse       = "an older token, or the budget spent"
	rowDead        = "a dead session"
	rowUnreachable = "the store can't be reached"
)

// mutation is a fault in the rules, and the invariant that has to expose it.
type mutation struct {
	row       string
	name      string
	invariant int
	apply     func(*rules)
}

// after changes what Decide answered.
func after(change func(*session.Outcome, session.State, session.Presented, time.Time)) func(*rules) {
	return func(r *rules) {
		r.decide = func(s session.State, p session.Presented, policy session.Policy, now time.Time) session.Outcome {
			out := session.Decide(s, p, policy, now)
			change(&out, s, p, now)
			return out
		}
	}
}

// before changes what Decide is told.
func before(change func(*session.State, *session.Presented, *session.Policy, time.Time)) func(*rules) {
	return func(r *rules) {
		r.decide = func(s session.State, p session.Presented, policy session.Policy, now time.Time) session.Outcome {
			change(&s, &p, &policy, now)
			return session.Decide(s, p, policy, now)
		}
	}
}

// blind hides a fact from Decide, and the store's statement forgets to ask for it as well.
func blind(state func(*session.State, time.Time), condition func(*row)) func(*rules) {
	return func(r *rules) {
		before(func(s *session.State, _ *session.Presented, _ *session.Policy, now time.Time) { state(s, now) })(r)
		r.rotate = func(r *row, gen, now int8) bool {
			seen := *r
			condition(&seen)
			if !rotateRow(&seen, gen, now) {
				return false
			}
			advance(r, now)
			return true
		}
	}
}

// becomes replaces every outcome of one kind.
func becomes(from session.Kind, to func(session.Outcome, session.State) session.Outcome) func(*rules) {
	return after(func(out *session.Outcome, s session.State, _ session.Presented, _ time.Time) {
		if out.Kind == from {
			*out = to(*out, s)
		}
	})
}

func current(s session.State) session.Successor {
	return session.Successor{Generation: s.Generation, IssuedAt: s.RotatedAt, ExpiresAt: s.IdleExpiresAt}
}

func retry(_ session.Outcome, s session.State) session.Outcome {
	return session.Outcome{Kind: session.Retry, Successor: current(s)}
}

func refuse(session.Outcome, session.State) session.Outcome {
	return session.Outcome{Kind: session.SignedOut, Reason: session.ReasonUnknown}
}

func revokeIt(session.Outcome, session.State) session.Outcome {
	return session.Outcome{Kind: session.Reuse, Reason: session.ReasonSuperseded}
}

// rotateAgain makes a new generation for a token that has a successor already.
func rotateAgain(_ session.Outcome, s session.State) session.Outcome {
	next := session.Successor{Generation: s.Generation + 1, IssuedAt: s.RotatedAt, ExpiresAt: s.IdleExpiresAt}
	return session.Outcome{Kind: session.Rotate, Successor: next}
}

func freshly(out *session.Outcome, _ session.State, _ session.Presented, now time.Time) {
	if out.Kind == session.Retry || out.Kind == session.LateRetry {
		out.Successor.IssuedAt = now
	}
}

func mutations() []mutation {
	all := [][]mutation{currentMutations(), graceMutations(), lateMutations(), reuseMutations(), deadMutations(), unreachableMutations()}
	var flat []mutation
	for _, m := range all {
		flat = append(flat, m...)
	}
	return flat
}

func currentMutations() []mutation {
	return []mutation{
		{rowCurrent, "any generation rotates", 3, func(r *rules) {
			r.rotate = func(r *row, _, now int8) bool { return rotateRow(r, r.gen, now) }
		}},
		{rowCurrent, "the rotation is read and written back, not compared and swapped", 3, func(r *rules) {
			r.rotate = func(r *row, gen, now int8) bool {
				if gen < r.gen-1 {
					return false
				}
				r.gen = gen
				return rotateRow(r, gen, now)
			}
		}},
		{rowCurrent, "the same token is answered again and again", 2, func(r *rules) {
			r.rotate = func(r *row, gen, now int8) bool {
				if !rotateRow(r, gen, now) {
					return false
				}
				r.gen--
				return true
			}
		}},
		{rowCurrent, "a rotation skips a generation", 3, func(r *rules) {
			r.rotate = func(r *row, gen, now int8) bool {
				if !rotateRow(r, gen, now) {
					return false
				}
				r.gen++
				return true
			}
		}},
		{rowCurrent, "the current token is taken for a reused one", 1, func(r *rules) {
			r.rotate = func(*row, int8, int8) bool { return false }
			becomes(session.Rotate, revokeIt)(r)
		}},
		{rowCurrent, "the refresh token expires after the session", 5, func(r *rules) {
			r.rotate = func(r *row, gen, now int8) bool {
				if !rotateRow(r, gen, now) {
					return false
				}
				r.idle = now + idleTicks
				return true
			}
		}},
		{rowCurrent, "a rotation brings a revoked session back", 3, func(r *rules) {
			r.rotate = func(r *row, gen, now int8) bool {
				if r.gen != gen || !r.active || now >= r.idle || now >= r.abs {
					return false
				}
				r.revoked = false
				return rotateRow(r, gen, now)
			}
		}},
	}
}

func graceMutations() []mutation {
	return []mutation{
		{rowGrace, "no grace", 1, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.Grace, p.LateRetries = 0, 0
		})},
		{rowGrace, "no grace, but late retries", 1, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.Grace = 0
		})},
		{rowGrace, "the grace ends a moment early", 1, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.Grace -= tick
		})},
		{rowGrace, "the grace ends a moment late", 2, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.Grace += tick
		})},
		{rowGrace, "the grace never ends", 2, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.Grace = sessionTicks * tick
		})},
		{rowGrace, "a retry gets a new generation, not the same successor", 3, becomes(session.Retry, rotateAgain)},
		{rowGrace, "a retry gets its successor with another iat", 3, after(freshly)},
		{rowGrace, "a retry gets its successor with another exp", 3, after(func(out *session.Outcome, s session.State, _ session.Presented, _ time.Time) {
			if out.Kind == session.Retry {
				out.Successor.ExpiresAt = s.ExpiresAt
			}
		})},
		{rowGrace, "a retry gets a token that expires after the session", 5, after(func(out *session.Outcome, s session.State, _ session.Presented, _ time.Time) {
			if out.Kind == session.Retry {
				out.Successor.ExpiresAt = s.ExpiresAt.Add(tick)
			}
		})},
		{rowGrace, "a retry is answered with the token that it presented", 2, after(func(out *session.Outcome, _ session.State, p session.Presented, _ time.Time) {
			if out.Kind == session.Retry {
				out.Successor.Generation = p.Generation
			}
		})},
		{rowGrace, "the loser of a race loses its cookie", 4, becomes(session.Retry, refuse)},
		{rowGrace, "the loser of a race is taken for a thief", 1, becomes(session.Retry, revokeIt)},
	}
}

func lateMutations() []mutation {
	forgiveAs := func(change func(*row, row)) func(*rules) {
		return func(r *rules) {
			r.forgive = func(r *row, gen, seen, budget, now int8) bool {
				was := *r
				if !forgiveRow(r, gen, seen, budget, now) {
					return false
				}
				change(r, was)
				return true
			}
		}
	}
	return []mutation{
		{rowLate, "no late retries", 1, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.LateRetries = 0
		})},
		{rowLate, "one late retry less", 1, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.LateRetries--
		})},
		{rowLate, "one late retry more", 2, before(func(_ *session.State, _ *session.Presented, p *session.Policy, _ time.Time) {
			p.LateRetries++
		})},
		{rowLate, "late retries are not counted", 2, forgiveAs(func(r *row, was row) { r.late = was.late })},
		{rowLate, "a late retry costs nothing", 2, becomes(session.LateRetry, retry)},
		{rowLate, "a rotation gives the late retries back", 2, func(r *rules) {
			r.rotate = func(r *row, gen, now int8) bool {
				if !rotateRow(r, gen, now) {
					return false
				}
				r.late = 0
				return true
			}
		}},
		{rowLate, "a late retry does not open the grace again: the other tab, waking up, is a thief", 1,
			forgiveAs(func(r *row, was row) { r.forgiven = was.forgiven })},
		{rowLate, "a late retry is paid for as long as the budget lasts: two tabs pay twice for one lost answer", 1, func(r *rules) {
			r.forgive = func(r *row, gen, _, budget, now int8) bool { return forgiveRow(r, gen, budget-1, budget, now) }
		}},
		{rowLate, "a late retry gets a new generation", 3, becomes(session.LateRetry, rotateAgain)},
		{rowLate, "a late retry writes the whole row back, and undoes a logoff", 3, func(r *rules) {
			r.forgive = func(r *row, gen, seen, budget, now int8) bool {
				revived := *r
				revived.revoked = false
				if !forgiveRow(&revived, gen, seen, budget, now) {
					return false
				}
				*r = revived
				return true
			}
		}},
		{rowLate, "a late retry is paid for by a session that was ended meanwhile", 3, func(r *rules) {
			r.forgive = func(r *row, gen, seen, budget, now int8) bool {
				was := r.revoked
				r.revoked = false
				paid := forgiveRow(r, gen, seen, budget, now)
				r.revoked = was
				return paid
			}
		}},
	}
}

func reuseMutations() []mutation {
	older := func(accept func(session.Outcome, session.State) session.Outcome) func(*rules) {
		return after(func(out *session.Outcome, s session.State, p session.Presented, _ time.Time) {
			if out.Kind == session.Reuse && p.Generation < s.Generation-1 {
				*out = accept(*out, s)
			}
		})
	}
	ahead := func(accept func(session.Outcome, session.State) session.Outcome) func(*rules) {
		return after(func(out *session.Outcome, s session.State, _ session.Presented, _ time.Time) {
			if out.Reason == session.ReasonAhead {
				*out = accept(*out, s)
			}
		})
	}
	return []mutation{
		{rowReuse, "reuse is refused, but the session lives on", 2, becomes(session.Reuse, refuse)},
		{rowReuse, "reuse deletes the cookie of a session that lives", 4, func(r *rules) { r.revoke = func(*row) {} }},
		{rowReuse, "reuse is ignored", 2, becomes(session.Reuse, retry)},
		{rowReuse, "an older token gets the current one", 2, older(retry)},
		{rowReuse, "an older token gets a late retry", 2, older(func(_ session.Outcome, s session.State) session.Outcome {
			return session.Outcome{Kind: session.LateRetry, Successor: current(s)}
		})},
		{rowReuse, "an older token rotates", 2, older(rotateAgain)},
		{rowReuse, "the token before the previous one has the grace too", 2, before(func(s *session.State, p *session.Presented, _ *session.Policy, _ time.Time) {
			if p.Generation == s.Generation-2 {
				p.Generation++
			}
		})},
		{rowReuse, "a token ahead of the store is rotated", 2, ahead(rotateAgain)},
		{rowReuse, "a token ahead of the store is answered with the store's current one", 2, ahead(retry)},
		{rowReuse, "a token ahead of the store is refused, and the session lives on", 4, ahead(refuse)},
	}
}

func deadMutations() []mutation {
	far := func(s *session.State, now time.Time) { s.ExpiresAt = now.Add(sessionTicks * tick) }
	return []mutation{
		{rowDead, "revocation is ignored", 3, blind(func(s *session.State, _ time.Time) { s.RevokedAt = time.Time{} }, func(r *row) { r.revoked = false })},
		{rowDead, "revocation is ignored for retries only", 3, before(func(s *session.State, _ *session.Presented, _ *session.Policy, _ time.Time) {
			s.RevokedAt = time.Time{}
		})},
		{rowDead, "a disabled user is ignored", 3, blind(func(s *session.State, _ time.Time) { s.UserActive = true }, func(r *row) { r.active = true })},
		{rowDead, "a disabled user is ignored for retries only", 3, before(func(s *session.State, _ *session.Presented, _ *session.Policy, _ time.Time) {
			s.UserActive = true
		})},
		{rowDead, "the idle end is ignored", 3, blind(func(s *session.State, _ time.Time) { s.IdleExpiresAt = s.ExpiresAt }, func(r *row) { r.idle = r.abs })},
		{rowDead, "the idle end comes a moment late", 3, blind(
			func(s *session.State, _ time.Time) { s.IdleExpiresAt = s.IdleExpiresAt.Add(tick) }, func(r *row) { r.idle++ })},
		{rowDead, "the idle end comes a moment early", 4, func(r *rules) {
			blind(func(s *session.State, _ time.Time) { s.IdleExpiresAt = s.IdleExpiresAt.Add(-tick) }, func(r *row) { r.idle-- })(r)
		}},
		{rowDead, "the absolute end is ignored", 5, blind(
			func(s *session.State, now time.Time) { far(s, now); s.IdleExpiresAt = s.ExpiresAt },
			func(r *row) { r.idle, r.abs = sessionTicks, sessionTicks })},
		{rowDead, "the absolute end is ignored for retries only", 5, before(func(s *session.State, _ *session.Presented, _ *session.Policy, now time.Time) {
			if !now.Before(s.ExpiresAt) {
				far(s, now)
				s.IdleExpiresAt = s.ExpiresAt
			}
		})},
		{rowDead, "the absolute end comes a moment early", 1, blind(
			func(s *session.State, _ time.Time) { s.ExpiresAt = s.ExpiresAt.Add(-tick) }, func(r *row) { r.abs-- })},
		{rowDead, "a live session is not found", 4, func(r *rules) {
			r.rotate = func(*row, int8, int8) bool { return false }
			before(func(s *session.State, _ *session.Presented, _ *session.Policy, _ time.Time) { s.Exists = false })(r)
		}},
	}
}

func unreachableMutations() []mutation {
	return []mutation{
		{rowUnreachable, "the cookie is deleted", 4, func(r *rules) { r.unavailable = func(jar *int8) { *jar = 0 } }},
		{rowUnreachable, "the cookie is put back to an older token", 4, func(r *rules) { r.unavailable = func(jar *int8) { *jar = baseGen - 2 } }},
	}
}
