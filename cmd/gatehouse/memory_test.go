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
