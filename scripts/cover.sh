#!/bin/sh
# Runs every Go test under the race detector, fails if one was skipped, and
# holds each package to the bound on its coverage (COVERAGE, in percent).
#
# Other packages' tests count, for the queries are tested through the stores;
# so does what the program does when the tests of e2e/ run it.
set -eu

work=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-cover.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
programs=$work/programs
mkdir "$programs" "$work/tmp"
chmod 0711 "$work" # a PostgreSQL of a test's own runs as another user
chmod 1777 "$work/tmp"
export TMPDIR="$work/tmp" # whatever a test forgets goes with it

# What one package's tests reach of all packages is no figure to show.
{
	status=0
	GATEHOUSE_COVERDIR=$programs "$GOTESTSUM" --format standard-quiet --jsonfile coverage.json -- \
		-race -timeout 15m -coverpkg=./... -coverprofile=coverage.out ./... || status=$?
	echo "$status" >"$work/status"
} | sed -e '/^\t*\(github[^\t]*\t*\)\{0,1\}coverage: /d' -e 's/\tcoverage: .*//'
read -r status <"$work/status"
[ "$status" -eq 0 ] || exit "$status"

skipped=$(grep '"Action":"skip"' coverage.json | grep -o '"Test":"[^"]*"' || true)
if [ -n "$skipped" ]; then
	echo "A skipped test proves nothing:" >&2
	echo "$skipped" | sed 's/^/  /' >&2
	exit 1
fi

# What was explored and what was survived, in the tests' own words.
grep -ohE 'explorer: [0-9][^"\\]*killed|[0-9]+ clients, [^"\\]*ended|[0-9]+ sessions swept [^"\\]*refreshes' coverage.json || true

if [ -n "$(ls "$programs")" ]; then
	go tool covdata textfmt -i "$programs" -o coverage.programs
	tail -n +2 coverage.programs >>coverage.out
fi
# What is generated, and the packages that only tests import, do not count.
awk -v bound="$COVERAGE" -v exclude='^(api|bench|e2e|.*/repotest|.*/cognitotest)?$' \
	-f scripts/coverage.awk coverage.out
