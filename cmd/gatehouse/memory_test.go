package main

import (
	"context"
	"runtime/debug"
	"testing"

	"github.com/gatehouse-auth/gatehouse/config"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const least = 86 << 20
	for live, want := range map[int64]int64{
		0: least, 8 << 20: least, 46 << 20: least, // two hashes and what a small server has
		70 << 20: 204 << 20, 1 << 30: 2112 << 20, // many connections
	} {
		if got := memoryLimit(least, live); got != want {
			t.Errorf("%d MiB alive: %d MiB, want %d", live>>20, got>>20, want>>20)
		}
	}
	if live := liveHeap(); live < 0 || live > 1<<40 {
		t.Error(live)
	}
}

func TestMemoryIsBoundedFromTheStart(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	})
	least := limitMemory(config.Passwords{MaxConcurrent: 3, Memory: 19 << 10})
	if set := debug.SetMemoryLimit(-1); least != (64-26+3*19)<<20 || set != least {
		t.Errorf("the bound is %d, and %d is set", least, set)
	}
	if set := debug.SetGCPercent(100); set != gcPercent {
		t.Errorf("garbage is collected at %d %%", set)
	}
}

func TestMemoryIsTheOperatorsWhereHeSaysSo(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "1GiB")
	before := debug.SetMemoryLimit(-1)
	least := limitMemory(config.Passwords{})
	if after := debug.SetMemoryLimit(-1); least != 0 || after != before {
		t.Error(least, before, after)
	}
	if err := watchMemory(context.Background(), least); err != nil { // it would not return
		t.Error(err)
	}
}
