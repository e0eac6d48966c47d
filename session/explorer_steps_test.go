package session_test

import (
	"github.com/gatehouse-auth/gatehouse/session"
)

// apply takes a step; false where it is not possible in this world.
func (e *explorer) apply(w *world, s step) bool {
	c := &w.calls[s.slot]
	switch s.kind {
	case send:
		return e.send(w, c, s.slot)
	case arrive:
		return c.phase == sent && e.arrive(w, c, s.slot)
	case read:
		return c.phase == stale && e.read(w, c, s.slot)
	case forgive:
		return c.phase == forgiving && e.forgive(w, c)
	case revoke:
		return c.phase == revoking && e.revoke(w, c)
	case fail:
		return (c.phase == sent || c.atServer()) && e.fail(w, c)
	case deliver:
		return c.phase >= granted && e.deliver(w, c, s.slot)
	case lose:
		// A crash of the server after the commit, or of the network, or of the tab: nothing tells them apart.
		lost := c.phase >= granted
		*c = call{}
		return lost
	case passTick, passGrace, passIdle, passAbsolute:
		return e.pass(w, s.kind)
	}
	return e.world(w, s.kind)
}

func (e *explorer) send(w *world, c *call, slot uint8) bool {
	held := w.jar
	if slot == thiefSlot {
		held = w.loot
	}
	if c.phase != idle || held == 0 {
		return false
	}
	*c = call{phase: sent, gen: held}
	return true
}

// arrive is the common path: one statement.
func (e *explorer) arrive(w *world, c *call, slot uint8) bool {
	w.thief = w.thief || slot == thiefSlot
	before := w.row
	if e.rules.rotate(&w.row, c.gen, 0) {
		e.checkRotated(w, before, c, 0)
		*c = call{phase: granted, gen: w.row.gen}
		return true
	}
	c.phase, c.at = stale, 0
	return true
}

// read is the slow path: read the session, ask Decide. What it answers is
// carried out at once where nothing is written, and in a step of its own where
// something is.
func (e *explorer) read(w *world, c *call, slot uint8) bool {
	out := e.rules.decide(w.row.state(), session.Presented{Generation: int64(c.gen)}, e.policy, at(c.at))
	dead := w.deadAt(c.at)
	c.outside = !dead && w.outside(c.gen, c.at, e.budget)
	if !out.Granted() && slot != thiefSlot {
		e.checkHonest(w, c)
	}
	switch out.Kind {
	case session.Rotate:
		before := w.row
		if e.rules.rotate(&w.row, int8(out.Successor.Generation-1), c.at) {
			e.checkRotated(w, before, c, c.at)
			*c = call{phase: granted, gen: w.row.gen}
		}
	case session.Retry:
		e.checkAgain(w, c, out.Successor)
		*c = call{phase: granted, gen: int8(out.Successor.Generation)}
	case session.LateRetry:
		e.checkSuccessor(w, out.Successor)
		c.phase, c.seen, c.current = forgiving, w.row.late, w.row.gen
	case session.Reuse:
		c.phase = revoking
	case session.SignedOut:
		e.checkRefused(w, c, dead)
		*c = call{phase: refused}
	}
	return true
}

// forgive spends a late retry.
func (e *explorer) forgive(w *world, c *call) bool {
	if !e.rules.forgive(&w.row, c.current, c.seen, e.budget, c.at) {
		c.phase, c.seen, c.current = stale, 0, 0
		return true
	}
	e.checkForgiven(w, c)
	w.opened = max(w.opened, c.at)
	*c = call{phase: granted, gen: c.current}
	return true
}

func (e *explorer) revoke(w *world, c *call) bool {
	e.rules.revoke(&w.row)
	w.ended = w.ended || w.row.revoked
	e.checkRefused(w, c, w.deadAt(c.at))
	*c = call{phase: refused}
	return true
}

// fail is a store that can't be reached: 503.
func (e *explorer) fail(w *world, c *call) bool {
	before := w.jar
	e.rules.unavailable(&w.jar)
	if w.jar != before && !w.deadAt(0) {
		e.violated(4, "a store that could not be reached cost the cookie")
	}
	*c = call{}
	return true
}

// deliver is an answer's arrival: its Set-Cookie overwrites what is there,
// however old it is itself. A thief does not let go of what it has.
func (e *explorer) deliver(w *world, c *call, slot uint8) bool {
	held := &w.jar
	if slot == thiefSlot {
		held = &w.loot
	}
	switch {
	case c.phase == granted:
		*held = c.gen
	case slot != thiefSlot:
		*held = 0
	}
	*c = call{}
	return true
}

// pass lets time go by to the next moment that matters. A request that is at
// the server holds it up: it lives for less than the grace.
func (e *explorer) pass(w *world, kind stepKind) bool {
	d := int8(1)
	switch kind {
	case passGrace:
		d = max(w.row.rotated, w.row.forgiven) + graceTicks
	case passIdle:
		d = w.row.idle
	case passAbsolute:
		d = w.row.abs
	}
	if d <= 0 || kind != passTick && d == 1 || w.row.abs <= 0 {
		return false
	}
	for _, c := range w.calls {
		if c.atServer() && (kind != passTick || c.at < 0) {
			return false
		}
	}
	w.pass(d, e.budget)
	return true
}

// world takes the steps that are nobody's refresh.
func (e *explorer) world(w *world, kind stepKind) bool {
	switch kind {
	case steal:
		if !e.thief || w.loot != 0 || w.jar == 0 {
			return false
		}
		w.loot = w.jar
	case logoff, logoffUnanswered:
		if !e.ends || w.jar == 0 || w.row.revoked {
			return false
		}
		w.row.revoked, w.ended = true, true
		if kind == logoff {
			w.jar = 0
		}
	case disable:
		if !e.ends || !w.row.active {
			return false
		}
		w.row.active, w.row.revoked, w.ended = false, true, true
	case disableBehind:
		if !e.ends || !w.row.active {
			return false
		}
		w.row.active = false
	case enable:
		if !e.ends || w.row.active {
			return false
		}
		w.row.active = true
	case restore:
		if !e.restore || w.restored {
			return false
		}
		w.row, w.restored, w.ended = w.backup, true, false
		w.childIat, w.childExp, w.opened, w.late = w.row.rotated, w.row.idle, w.row.rotated, w.row.late
		w.backup = row{}
	}
	return true
}
