#!/bin/sh
# Runs the Go benchmarks of the hot functions: what a refresh, a verification or
# an exchange passes through.
#
#   scripts/hot.sh [FLAG...]     the flags of go test
set -eu
run() {
	pattern=$1
	shift
	go test -run '^$' -benchmem -bench "$pattern" "$@"
}
run 'IssueAccess|VerifyAccess|Refresh' "$@" ./tokens
run 'Sign|Unsign|CSRF|Sum' "$@" ./cookie ./internal/mac
run 'Decide|VerifyID|VerifyPair' "$@" ./session ./cognito
run 'Serve' "$@" ./cmd/gatehouse
