package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"

	"github.com/gatehouse-auth/gatehouse/config"
)

const (
	// gcPercent lets a small heap, as a server without much to do has, grow to some tens of megabytes before it is
	// collected: refreshing makes garbage and keeps nothing.
	gcPercent = 400
	// besideHeap is what the resident memory has beside what the runtime counts: the program itself, and what SQLite keeps.
	besideHeap = 26 << 20
	// memoryFloor is what the process may take beside the memory of the hashes.
	memoryFloor   = 64 << 20
	memoryWatched = time.Second
)

// limitMemory bounds the memory by 64 MiB and that of the password hashes which
// may run at once, and returns the bound of the heap. It does nothing, and returns
// 0, where GOGC or GOMEMLIMIT say something else.
func limitMemory(p config.Passwords) (least int64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	hashes := p.MaxConcurrent
	if hashes == 0 {
		hashes = runtime.GOMAXPROCS(0)
	}
	least = int64(memoryFloor-besideHeap) + int64(hashes)*int64(p.Memory)<<10
	debug.SetMemoryLimit(least)
	debug.SetGCPercent(gcPercent)
	return least
}

// watchMemory gives back what the start has taken, and where more than least is in
// use, has the bound follow it, until the context ends: twice what is. With no
// least it does nothing.
func watchMemory(ctx context.Context, least int64) error {
	if least == 0 {
		return nil
	}
	ticker := time.NewTicker(memoryWatched)
	defer ticker.Stop()
	for limit, starting := least, true; ; starting = false {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if starting {
			debug.FreeOSMemory()
		}
		if now := memoryLimit(least, liveHeap()); now != limit {
			limit = now
			debug.SetMemoryLimit(limit)
		}
	}
}

// memoryLimit is the bound for a heap of which so much was alive at its last
// collection. Too tight a bound would have it collected without end.
func memoryLimit(least, live int64) int64 {
	if live < least*8/10 {
		return least
	}
	return 2*live + memoryFloor
}

func liveHeap() int64 {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtimemetrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
