package main

import (
	"math/bits"
	"time"
)

// histogram counts latencies in buckets that are at most 1/64 wide of what they
// hold, so that a run of any length takes the same memory.
type histogram struct {
	counts [64 * subBuckets]uint32
	n      int
}

const subBuckets = 64 // to each power of two

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(uint64(max(0, d)))]++
	h.n++
}

func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 7 // 64 <= v>>shift < 128
	return (shift+1)*subBuckets + int(v>>shift) - subBuckets
}

// upperEdge is the largest value of a bucket.
func upperEdge(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	return time.Duration((uint64(bucket%subBuckets)+subBuckets+1)<<shift - 1)
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n += o.n
}

// quantile returns the value that a share q of all does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int(q*float64(h.n) + 0.5)
	for i, n := range h.counts {
		if rank -= int(n); rank <= 0 && n > 0 {
			return upperEdge(i)
		}
	}
	return 0
}
