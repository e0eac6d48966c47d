#!/bin/sh
# Holds the allocations of each hot function to its bound in bench/allocations.tsv:
# counts, which are the same on every machine, and never times. It runs without
# the race detector, which allocates too.
#
#   scripts/allocations.sh          fail if one has more, or has no bound
#   scripts/allocations.sh update   write the bounds anew, with a little to spare
set -eu
bounds=bench/allocations.tsv
out=$(mktemp)
trap 'rm -f "$out"' EXIT
unset GATEHOUSE_TEST_POSTGRES # its driver counts differently from run to run
scripts/hot.sh -benchtime 300x >"$out" || {
	cat "$out" >&2
	exit 1
}
counts=$(awk '
	$1 == "pkg:" { sub(/.*gatehouse-auth\/gatehouse\//, "", $2); pkg = $2 }
	/^Benchmark/ {
		sub(/-[0-9]+$/, "", $1)
		for (i = 2; i <= NF; i++) if ($i == "allocs/op") print pkg "\t" $1 "\t" $(i - 1)
	}' "$out" | sort)

if [ "${1:-}" = update ]; then
	echo "$counts" | awk -F '\t' -v OFS='\t' '{ print $1, $2, ($3 < 20 ? $3 : int($3 * 1.03) + 1) }' >$bounds
	exit
fi
echo "$counts" | awk -F '\t' '
	NR == FNR { bound[$1 FS $2] = $3; next }
	{ seen[$1 FS $2] = 1 }
	!(($1 FS $2) in bound) { print "no bound for " $1 " " $2 " (" $3 " allocations)"; bad = 1; next }
	$3 > bound[$1 FS $2] { print $1 " " $2 ": " $3 " allocations, more than " bound[$1 FS $2]; bad = 1 }
	END {
		for (b in bound) if (!(b in seen)) { print "not measured: " b; bad = 1 }
		if (bad) { print "scripts/allocations.sh update writes the bounds anew, where more is meant."; exit 1 }
	}' $bounds - >&2
