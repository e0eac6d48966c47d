package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of the times in /proc/PID/stat: USER_HZ, which is 100 on
// every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuOf is the time that a process has run, its threads included.
func cpuOf(pid int) (time.Duration, error) { return ticks(pid, 11, 12) }

// ticks adds fields of /proc/PID/stat that are times.
func ticks(pid int, fields ...int) (time.Duration, error) {
	all, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, f := range fields {
		n, err := strconv.ParseInt(all[f], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}

// statOf returns the fields of /proc/PID/stat from the state on.
func statOf(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 22 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// cpuBelow is cpuOf for a process and its children, those that have ended too:
// a server that forks.
func cpuBelow(pid int) (time.Duration, error) {
	total, err := ticks(pid, 11, 12, 13, 14)
	if err != nil {
		return 0, err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		child, _ := strconv.Atoi(filepath.Base(dir))
		fields, err := statOf(child)
		if err != nil || fields[1] != strconv.Itoa(pid) {
			continue // ended meanwhile, or somebody else's
		}
		if d, err := cpuOf(child); err == nil {
			total += d
		}
	}
	return total, nil
}

// ownCPU is the time that this program has run.
func ownCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// memoryOf returns a figure of /proc/PID/status, such as VmRSS, in bytes.
func memoryOf(pid int, field string) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // it was read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name == field {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, field)
}

// resetPeak lets VmHWM begin anew (proc(5), clear_refs).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600)
}

// counters is what the server tells of itself.
type counters struct{ mallocs, bytes float64 }

// scrape reads the counters of a server's metrics listener.
func scrape(ctx context.Context, address string) (counters, error) {
	if err := checkLoopback(address); err != nil {
		return counters{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return counters{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return counters{}, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return counters{}, err
	}
	var c counters
	for line := range strings.SplitSeq(string(text), "\n") {
		name, value, _ := strings.Cut(line, " ")
		into := map[string]*float64{"go_memstats_mallocs_total": &c.mallocs, "go_memstats_alloc_bytes_total": &c.bytes}[name]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseFloat(value, 64); err != nil {
			return counters{}, err
		}
	}
	return c, nil
}
