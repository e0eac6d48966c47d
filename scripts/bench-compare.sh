#!/bin/sh
# Compares the hot functions with the committed baseline, by benchstat.
#
#   scripts/bench-compare.sh BENCHSTAT           print the comparison
#   scripts/bench-compare.sh BENCHSTAT update    make a new baseline, on a quiet machine
#
# Times say something where both were taken on one machine; bytes and
# allocations everywhere.
set -eu
baseline=bench/baseline.txt
if [ "${2:-}" = update ]; then
	scripts/hot.sh -count 6 -benchtime 200ms >$baseline.new
	mv $baseline.new $baseline
	exit
fi
now=$(mktemp)
trap 'rm -f "$now"' EXIT
scripts/hot.sh -count 6 -benchtime 200ms >"$now"
"$1" baseline=$baseline now="$now"
