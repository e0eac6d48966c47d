package session_test

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// rules is everything that decides how a refresh goes: the real Decide, the
// store's three statements, and what an answer does to the cookie. A mutation
// changes one of them.
type rules struct {
	decide      func(session.State, session.Presented, session.Policy, time.Time) session.Outcome
	rotate      func(r *row, gen, now int8) bool
	forgive     func(r *row, gen, seen, budget, now int8) bool
	revoke      func(r *row)
	unavailable func(jar *int8)
}

// asBuilt is what Gatehouse does: Decide itself, and the statements as package
// repo promises them.
func asBuilt() rules {
	return rules{
		decide:      session.Decide,
		rotate:      rotateRow,
		forgive:     forgiveRow,
		revoke:      func(r *row) { r.revoked = true },
		unavailable: func(*int8) {},
	}
}

// rotateRow is repo.Sessions.RotateSession.
func rotateRow(r *row, gen, now int8) bool {
	if r.gen != gen || r.revoked || !r.active || now >= r.idle || now >= r.abs {
		return false
	}
	advance(r, now)
	return true
}

func advance(r *row, now int8) {
	r.gen++
	r.rotated = now
	r.idle = min(now+idleTicks, r.abs)
}

// forgiveRow is repo.Sessions.ForgiveLateRetry, asked to pay only where nobody has since the session was read: of
// two tabs that retry one lost answer together, the second finds the grace open again and pays nothing.
func forgiveRow(r *row, gen, seen, _, now int8) bool {
	if r.gen != gen || r.revoked || r.late > seen {
		return false
	}
	r.late++
	r.forgiven = now
	return true
}

// policy is what the explorer's sessions live under.
func policy(budget int8) session.Policy {
	return session.Policy{Grace: graceTicks * tick, LateRetries: int(budget), RefreshLifetime: idleTicks * tick}
}
