package session_test

import (
	"fmt"
	"slices"
	"testing"
)

// scenarios are what the rules are explored in. Those without a depth are
// exhausted: every world that any number of steps can lead to is in them.
func scenarios() []scenario {
	return []scenario{
		{name: "one tab, and every way to end a session", tabs: 1, budget: 1, ends: true},
		{name: "two tabs, and every way to end a session", tabs: 2, budget: 1, ends: true},
		{name: "two tabs without late retries", tabs: 2, budget: 0},
		{name: "two tabs with two late retries", tabs: 2, budget: 2},
		{name: "three tabs", tabs: 3, budget: 1},
		{name: "one tab and a thief, and every way to end a session", tabs: 1, budget: 1, thief: true, ends: true},
		{name: "two tabs and a thief", tabs: 2, budget: 1, thief: true, depth: 18},
		{name: "three tabs and a thief, and every way to end a session", tabs: 3, budget: 1, thief: true, ends: true, depth: 12},
		{name: "a tab, a thief and a store that is restored", tabs: 1, budget: 1, thief: true, restore: true, depth: 18},
	}
}

// hunts are the scenarios that mutations are looked for in, the cheapest first.
func hunts() []scenario {
	return []scenario{
		{tabs: 2, budget: 1, ends: true, depth: 16},
		{tabs: 2, budget: 2, depth: 20},
		{tabs: 1, budget: 1, thief: true, restore: true, depth: 16},
		{tabs: 3, budget: 1, depth: 16},
	}
}

// TestExplorer holds the rules to the invariants in every interleaving, and
// then shows of each mutation that the invariants would expose it.
func TestExplorer(t *testing.T) {
	t.Parallel()
	states, transitions := 0, 0
	for _, s := range scenarios() {
		e := explore(s, asBuilt(), -1)
		states += len(e.nodes)
		transitions += e.transitions
		for invariant := 1; invariant <= 5; invariant++ {
			if f, violated := e.found[invariant]; violated {
				t.Errorf("%s: invariant %d is violated:\n%s", s.name, invariant, e.trace(f))
			}
		}
		t.Logf("%s: %d states, %d transitions, %d steps deep", s.name, len(e.nodes), e.transitions, e.level)
	}
	killed, all := 0, mutations()
	for _, m := range all {
		if trace, found := hunt(m); found {
			killed++
			t.Logf("%s: %s: invariant %d:\n%s", m.row, m.name, m.invariant, trace)
		} else {
			t.Errorf("%s: %s: nothing shows that invariant %d is violated", m.row, m.name, m.invariant)
		}
	}
	fmt.Printf("explorer: %d states, %d transitions, %d/%d mutations killed\n", states, transitions, killed, len(all))
}

// hunt looks for the violation that the mutation has to lead to.
func hunt(m mutation) (trace string, found bool) {
	r := asBuilt()
	m.apply(&r)
	for _, s := range hunts() {
		e := explore(s, r, m.invariant)
		if f, violated := e.found[m.invariant]; violated {
			return e.trace(f), true
		}
	}
	return "", false
}

// TestMutationsCoverTheTable: each invariant and each row has a mutation.
func TestMutationsCoverTheTable(t *testing.T) {
	t.Parallel()
	for _, row := range []string{rowCurrent, rowGrace, rowLate, rowReuse, rowDead, rowUnreachable} {
		if !slices.ContainsFunc(mutations(), func(m mutation) bool { return m.row == row }) {
			t.Errorf("no mutation of the row %q", row)
		}
	}
	for invariant := 1; invariant <= 5; invariant++ {
		if !slices.ContainsFunc(mutations(), func(m mutation) bool { return m.invariant == invariant }) {
			t.Errorf("no mutation for invariant %d", invariant)
		}
	}
}

// TestTwiceSuperseded pins down the one way in which an honest client without
// misfortune in time is signed out: a request or an answer that two rotations
// overtook. It takes two tabs; a browser that sends one refresh at a time, as
// the SDK does, never gets there.
func TestTwiceSuperseded(t *testing.T) {
	t.Parallel()
	one := explore(scenario{tabs: 1, budget: 1, ends: true}, asBuilt(), -1)
	if f, signedOut := one.found[overtaken]; signedOut {
		t.Errorf("one refresh at a time:\n%s", one.trace(f))
	}
	two := explore(scenario{tabs: 2, budget: 1, depth: 12}, asBuilt(), overtaken)
	f, signedOut := two.found[overtaken]
	if !signedOut {
		t.Fatal("two tabs never have a token superseded twice: say so in the documentation, and forget this test")
	}
	t.Logf("\n%s", two.trace(f))
}
