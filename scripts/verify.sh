#!/bin/sh
# Generates everything again and fails if that changes a file: what is
# committed must be what openapi.yaml says. Nor may go.mod be untidy.
set -eu

fingerprint() {
	find api sdk/typescript/src docs go.mod go.sum -type f -exec cksum {} + | sort -k3
}

before=$(mktemp) after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT
fingerprint >"$before"
make --no-print-directory generate
fingerprint >"$after"
diff "$before" "$after" >/dev/null || {
	echo "The generated files were stale; they are up to date now, commit them:" >&2
	diff "$before" "$after" | sed -n 's/^> [0-9]* [0-9]* /  /p' >&2
	exit 1
}
for module in . test/zitadel; do
	go -C "$module" mod tidy -diff >/dev/null || {
		echo "$module/go.mod is not tidy: run 'go mod tidy' there" >&2
		exit 1
	}
done
