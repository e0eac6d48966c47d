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

// watchMemory bounds the memory until the context ends: by 64 MiB and that of the
// password hashes which may run at once, and where more than that is in use, by
// twice what is. It does nothing where GOGC or GOMEMLIMIT say something else.
func watchMemory(ctx context.Context, p config.Passwords) error {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	hashes := p.MaxConcurrent
	if hashes == 0 {
		hashes = runtime.GOMAXPROCS(0)
	}
	least := int64(memoryFloor-besideHeap) + int64(hashes)*int64(p.Memory)<<10
	debug.SetMemoryLimit(least)
	debug.SetGCPercent(gcPercent)
	debug.FreeOSMemory() // what reading the contract and the configuration has taken
	ticker := time.NewTicker(memoryWatched)
	defer ticker.Stop()
	for limit := least; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
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
