package session_test

import (
	"github.com/gatehouse-auth/gatehouse/session"
)

// The invariants, as the explorer holds them against each step:
//
//  1. An honest client is told that it is signed out only when its session has
//     ended (by itself, an operator, or time), a thief has used its token, the
//     store has gone back to a backup, it presents a token that was superseded
//     twice, or a grace closed on a superseded token in its hands (an answer
//     lost, or overtaken) more often than the budget forgives.
//  2. A token outside the table's granting rows gets no token, and when its
//     answer goes out the session is dead. A presented token is spent: what it
//     gets is its successor. Over its whole life a session grants no more late
//     retries than its budget. (A thief who presents each token within the
//     grace of its victim's rotation is not told apart from a second tab.)
//  3. Only the current generation is rotated, by one; a token has one
//     successor, the same to the byte; what has ended grants nothing and stays
//     ended.
//  4. An answer deletes the cookie only when the session is dead, and a failure
//     of the store never does.
//  5. No token is granted at or after the session's absolute end, and none
//     expires after it.

// checkHonest is invariant 1, at the moment of the decision.
func (e *explorer) checkHonest(w *world, c *call) {
	switch {
	case w.deadAt(c.at), w.thief, w.restored, w.incidents > e.budget:
	case w.row.gen-c.gen >= 2:
		e.note(overtaken, "an honest client is signed out: its token was superseded twice")
	default:
		e.violated(1, "an honest client is signed out")
	}
}

// checkAlive is the half of invariants 3 and 5 that forbids the dead to grant.
func (e *explorer) checkAlive(w *world, t int8) {
	switch {
	case t >= w.row.abs:
		e.violated(5, "a token is granted after the absolute end")
	case w.deadAt(t):
		e.violated(3, "a dead session grants a token")
	}
}

// checkRotated holds a rotation to invariants 2, 3 and 5, and takes note of the
// new current token.
func (e *explorer) checkRotated(w *world, before row, c *call, t int8) {
	after := w.row
	w.row = before
	e.checkAlive(w, t)
	outside := w.outside(c.gen, t, e.budget)
	w.row = after
	switch {
	case outside:
		e.violated(2, "a token that nobody may present is rotated")
	case after.gen <= c.gen:
		e.violated(2, "a presented token is not spent")
	case c.gen != before.gen || after.gen != before.gen+1:
		e.violated(3, "a token has a second successor")
	}
	e.checkExpiry(w, after.idle)
	w.childIat, w.childExp, w.opened = after.rotated, after.idle, max(w.opened, t)
}

// checkAgain holds an answer that rotates nothing to invariants 2, 3 and 5.
func (e *explorer) checkAgain(w *world, c *call, s session.Successor) {
	e.checkAlive(w, c.at)
	switch {
	case c.outside:
		e.violated(2, "a token that nobody may present is answered with a token")
	case int8(s.Generation) <= c.gen:
		e.violated(2, "a presented token is not spent")
	case c.gen == w.row.gen-1 && c.at >= w.opened+graceTicks:
		e.violated(2, "a late retry is not paid for")
	}
	e.checkSuccessor(w, s)
}

// checkSuccessor is invariant 3: the same successor, to the byte.
func (e *explorer) checkSuccessor(w *world, s session.Successor) {
	if int8(s.Generation) != w.row.gen || ticks(s.IssuedAt) != w.childIat || ticks(s.ExpiresAt) != w.childExp {
		e.violated(3, "a retry gets another successor")
	}
	e.checkExpiry(w, ticks(s.ExpiresAt))
}

// checkForgiven is invariant 2's bound on late retries. The session may have
// been disabled behind the service's back since it was read, but not ended.
func (e *explorer) checkForgiven(w *world, c *call) {
	if w.ended {
		e.violated(3, "an ended session forgives a late retry")
	}
	if c.outside {
		e.violated(2, "a token that nobody may present is forgiven")
	}
	if c.at < w.opened+graceTicks {
		return // another tab has just paid
	}
	w.late++
	if w.late > e.budget {
		e.violated(2, "more late retries are granted than the budget has")
	}
}

// checkRefused is invariants 2 and 4 as the answer that deletes the cookie goes out.
func (e *explorer) checkRefused(w *world, c *call, dead bool) {
	if dead {
		return
	}
	e.violated(4, "the cookie of a session that lives is deleted")
	if c.outside {
		e.violated(2, "a token that nobody may present leaves the session alive")
	}
}

func (e *explorer) checkExpiry(w *world, exp int8) {
	if exp > w.row.abs {
		e.violated(5, "a token expires after the session's absolute end")
	}
}

// checkWorld is what has to hold of the store after every step.
func (e *explorer) checkWorld(w *world, before int8) {
	if w.ended && !w.row.revoked {
		e.violated(3, "a session that was ended lives again")
	}
	if w.row.gen < before && e.step.kind != restore {
		e.violated(3, "the generation goes back")
	}
	e.checkExpiry(w, w.row.idle)
}
