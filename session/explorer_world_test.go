package session_test

import (
	"time"

	"github.com/gatehouse-auth/gatehouse/session"
)

// The explorer's clock counts in ticks. A world is always shifted so that now is
// tick 0 and the current generation is baseGen: two worlds that differ only in
// when they happen, or in how many rotations went before, are the same world.
const (
	tick         = 10 * time.Second
	graceTicks   = 2
	idleTicks    = 4
	sessionTicks = 7
	baseGen      = 10
	never        = -100
	tabCount     = 3
	thiefSlot    = tabCount
	reach        = 3 // generations further than this from the current one are alike
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(t int8) time.Time { return epoch.Add(time.Duration(t) * tick) }

func ticks(t time.Time) int8 { return int8(t.Sub(epoch) / tick) }

// phase is how far a refresh has come on its way to the server and back.
type phase uint8

const (
	idle      phase = iota
	sent            // under way to the server
	stale           // at the server: the rotating statement returned no row
	forgiving       // at the server: about to spend a late retry
	revoking        // at the server: about to revoke the session
	granted         // the answer is under way, with a token
	refused         // the answer is under way, and deletes the cookie
)

// call is one refresh.
type call struct {
	phase   phase
	gen     int8 // presented; in granted: answered
	at      int8 // the request's one now
	seen    int8 // in forgiving: how many late retries had been forgiven when the session was read,
	current int8 // and which generation was current
	outside bool // presented outside the rows of the table that grant something
}

// atServer reports whether the server is in the midst of the request.
func (c call) atServer() bool { return c.phase >= stale && c.phase <= revoking }

// row is a session as the store has it.
type row struct {
	gen, rotated, idle, abs, forgiven, late int8
	revoked, active                         bool
}

// state is what Decide is told of the row.
func (r row) state() session.State {
	s := session.State{
		Exists: true, Generation: int64(r.gen), LateRetries: int(r.late), UserActive: r.active,
		RotatedAt: at(r.rotated), IdleExpiresAt: at(r.idle), ExpiresAt: at(r.abs),
	}
	if r.forgiven != never {
		s.ForgivenAt = at(r.forgiven)
	}
	if r.revoked {
		s.RevokedAt, s.RevokeReason = epoch, "sign_out"
	}
	return s
}

// world is everything that can differ between two moments of an exploration.
// What the store and the parties know comes first; the ghosts after it are the
// explorer's own account of what happened, which no rule can see or bend.
type world struct {
	row    row
	backup row     // what a restore brings back
	jar    int8    // the generation in the browser's cookie jar; 0: none
	loot   int8    // the generation that the thief holds; 0: none
	calls  [4]call // three tabs and the thief

	childIat, childExp int8 // ghost: of the current token, as it was first made
	opened             int8 // ghost: when the last rotation or forgiven late retry was
	late               int8 // ghost: how many late retries were granted
	incidents          int8 // ghost: how many times a grace closed on a superseded token in honest hands
	ended              bool // ghost: logoff, disable or revocation was committed
	thief              bool // ghost: the thief has presented something
	restored           bool // ghost: the store went back to its backup
}

func newWorld() world {
	r := row{gen: baseGen, idle: idleTicks, abs: sessionTicks, forgiven: never, active: true}
	return world{row: r, backup: r, jar: baseGen, childExp: idleTicks}
}

// deadAt is the explorer's own idea of a dead session.
func (w *world) deadAt(t int8) bool {
	return w.ended || !w.row.active || t >= w.childExp || t >= w.row.abs
}

// outside reports whether the token is one that nobody may present to a live
// session: ahead, superseded twice, or superseded once, too late and too often.
func (w *world) outside(gen, t int8, budget int8) bool {
	switch w.row.gen - gen {
	case 0:
		return false
	case 1:
		return t >= w.opened+graceTicks && w.late >= budget
	}
	return true
}

// superseded reports whether an honest party has a token in hand, or under way,
// that is not the current one.
func (w *world) superseded() bool {
	if w.jar != 0 && w.jar < w.row.gen {
		return true
	}
	for _, c := range w.calls[:tabCount] {
		if c.phase != idle && c.phase != refused && c.gen < w.row.gen {
			return true
		}
	}
	return false
}

// pass lets time go by.
func (w *world) pass(d, budget int8) {
	if end := w.opened + graceTicks; end > 0 && end <= d && w.superseded() {
		w.incidents = min(w.incidents+1, budget+1)
	}
	for _, t := range []*int8{
		&w.row.rotated, &w.row.idle, &w.row.abs, &w.childIat, &w.childExp, &w.opened,
	} {
		*t -= d
	}
	if w.row.forgiven != never {
		w.row.forgiven -= d
	}
	if w.backup.gen != 0 {
		w.backup.rotated, w.backup.idle, w.backup.abs = w.backup.rotated-d, w.backup.idle-d, w.backup.abs-d
	}
	for i := range w.calls {
		if w.calls[i].atServer() {
			w.calls[i].at -= d
		}
	}
}

// canonical returns the representative of all worlds that behave like this one:
// it counts generations from the current one, forgets by how much a grace is
// over or an idle end is past, and puts the tabs in order.
func (w world) canonical() world {
	shift := baseGen - w.row.gen
	w.row.gen = baseGen
	if w.backup.gen != 0 {
		w.backup.gen += shift
	}
	relative := func(gen int8) int8 {
		if gen == 0 {
			return 0
		}
		return min(max(gen+shift, baseGen-reach), baseGen+reach)
	}
	w.jar, w.loot = relative(w.jar), relative(w.loot)
	for i := range w.calls {
		c := &w.calls[i]
		switch c.phase {
		case idle, refused:
			*c = call{phase: c.phase}
		case sent, granted:
			*c = call{phase: c.phase, gen: relative(c.gen)}
		default: // at the server
			c.gen, c.current = relative(c.gen), relative(c.current)
		}
	}
	if over := -graceTicks - w.row.rotated; over > 0 {
		w.row.rotated += over
		w.childIat += over
	}
	if w.row.forgiven <= -graceTicks || w.row.forgiven <= w.row.rotated {
		w.row.forgiven = never
	}
	w.opened = max(w.opened, -graceTicks)
	if w.row.idle < 0 {
		w.childExp -= w.row.idle
		w.row.idle = 0
	}
	w.row.abs = max(w.row.abs, 0)
	sortTabs(&w.calls)
	return w
}

// sortTabs makes the tabs of one browser, which nothing tells apart, one set.
func sortTabs(c *[4]call) {
	for i := 1; i < tabCount; i++ {
		for j := i; j > 0 && less(c[j], c[j-1]); j-- {
			c[j], c[j-1] = c[j-1], c[j]
		}
	}
}

func less(a, b call) bool {
	if a.phase != b.phase {
		return a.phase > b.phase
	}
	if a.gen != b.gen {
		return a.gen < b.gen
	}
	if a.at != b.at {
		return a.at < b.at
	}
	if a.seen != b.seen {
		return a.seen < b.seen
	}
	if a.current != b.current {
		return a.current < b.current
	}
	return !a.outside && b.outside
}
