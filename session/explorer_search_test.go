package session_test

import (
	"fmt"
	"strings"

	"github.com/gatehouse-auth/gatehouse/session"
)

// scenario bounds an exploration. Faults, lost answers and reordering are not
// bounded: within depth steps everything happens in every order.
type scenario struct {
	name    string
	tabs    int
	budget  int8 // late retries
	thief   bool
	ends    bool // logoff, acknowledged or not; the user disabled, by the service or behind its back, and enabled
	restore bool // the store goes back to a backup, once
	depth   int  // 0: until there is nothing new
}

// step is one thing that happens.
type step struct {
	kind stepKind
	slot uint8 // of the call concerned
}

type stepKind uint8

const (
	send stepKind = iota
	arrive
	read
	forgive
	revoke
	fail
	deliver
	lose
	steal
	logoff
	logoffUnanswered
	disable
	disableBehind
	enable
	restore
	passTick
	passGrace
	passIdle
	passAbsolute
)

// finding is the shortest way to something worth knowing.
type finding struct {
	text   string
	parent int32
	last   step
}

// overtaken is where an exploration keeps the honest sign-outs that the table
// demands: the token was superseded twice. It counts beside the invariants.
const overtaken = 0

// explorer is a breadth-first search through worlds.
type explorer struct {
	scenario
	rules       rules
	policy      session.Policy
	nodes       []node
	seen        map[world]struct{}
	transitions int
	level       int // how deep it came
	found       map[int]finding
	broken      bool  // by the step being taken
	next        world // that the step being taken leads to
	parent      int32
	step        step
}

type node struct {
	w      world
	parent int32
	step   step
}

// explore searches until nothing is new, the depth is reached, or, where until
// names an invariant, that one is violated. A world in which an invariant is
// violated leads nowhere.
func explore(s scenario, r rules, until int) *explorer {
	e := &explorer{
		scenario: s, rules: r, policy: policy(s.budget), seen: map[world]struct{}{}, found: map[int]finding{},
	}
	start := newWorld()
	if !s.restore {
		start.backup = row{}
	}
	e.nodes = append(e.nodes, node{w: start, parent: -1})
	e.seen[start] = struct{}{}
	for next, end := 0, 1; next < end && (s.depth == 0 || e.level < s.depth); end = len(e.nodes) {
		e.level++
		for ; next < end; next++ {
			e.expand(int32(next))
			if _, hit := e.found[until]; hit {
				return e
			}
		}
	}
	return e
}

func (e *explorer) expand(i int32) {
	e.parent = i
	for slot := range uint8(len(e.nodes[i].w.calls)) {
		if int(slot) >= e.tabs && (slot != thiefSlot || !e.thief) {
			continue
		}
		for kind := send; kind <= lose; kind++ {
			e.try(step{kind, slot})
		}
	}
	for kind := steal; kind <= passAbsolute; kind++ {
		e.try(step{kind: kind})
	}
}

// try takes a step where it is possible, checks what came of it, and keeps the
// world that it leads to if that is new.
func (e *explorer) try(s step) {
	e.next = e.nodes[e.parent].w
	before := e.next.row.gen
	e.step, e.broken = s, false
	if !e.apply(&e.next, s) {
		return
	}
	e.transitions++
	e.checkWorld(&e.next, before)
	if e.broken {
		return
	}
	w := e.next.canonical()
	if _, known := e.seen[w]; known {
		return
	}
	e.seen[w] = struct{}{}
	e.nodes = append(e.nodes, node{w, e.parent, s})
}

// violated notes that the step being taken breaks an invariant.
func (e *explorer) violated(invariant int, format string, args ...any) {
	e.broken = true
	e.note(invariant, format, args...)
}

func (e *explorer) note(key int, format string, args ...any) {
	if _, known := e.found[key]; !known {
		e.found[key] = finding{fmt.Sprintf(format, args...), e.parent, e.step}
	}
}

// trace tells the shortest way to a finding, a step on each line.
func (e *explorer) trace(f finding) string {
	lines := []string{e.describe(f.parent, f.last), "  → " + f.text}
	for i := f.parent; e.nodes[i].parent >= 0; i = e.nodes[i].parent {
		lines = append([]string{e.describe(e.nodes[i].parent, e.nodes[i].step)}, lines...)
	}
	return strings.Join(lines, "\n")
}

func (e *explorer) describe(before int32, s step) string {
	w := e.nodes[before].w
	who, c := "a tab", w.calls[s.slot]
	if s.slot == thiefSlot {
		who = "the thief"
	}
	held := map[bool]int8{false: w.jar, true: w.loot}[s.slot == thiefSlot]
	name := func(gen int8) string {
		if gen == w.row.gen {
			return "the current token"
		}
		return fmt.Sprintf("current%+d", gen-w.row.gen)
	}
	switch s.kind {
	case send:
		return who + " sends " + name(held)
	case arrive:
		return who + "'s request arrives with " + name(c.gen)
	case read:
		return who + "'s request finds no row to rotate and reads the session"
	case forgive:
		return who + "'s late retry is paid for"
	case revoke:
		return who + "'s reuse revokes the session"
	case fail:
		return who + " gets 503"
	case deliver:
		if c.phase == refused {
			return who + "'s answer comes: the cookie is deleted"
		}
		return who + "'s answer comes with " + name(c.gen)
	case lose:
		return who + "'s answer is lost"
	}
	return [...]string{
		steal: "the thief copies the cookie, " + name(w.jar), logoff: "logoff", logoffUnanswered: "logoff, its answer lost",
		disable: "the user is disabled", disableBehind: "the user is disabled behind the service's back",
		enable: "the user is enabled", restore: "the store is restored from a backup", passTick: "a moment passes",
		passGrace: "the grace passes", passIdle: "time passes to the idle end", passAbsolute: "time passes to the absolute end",
	}[s.kind]
}
