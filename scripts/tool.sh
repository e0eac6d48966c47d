#!/bin/sh
# Installs a Go program of a fixed version under the name that make looks for.
#
#   scripts/tool.sh .tools/NAME-VERSION PACKAGE
#
# Such tools stay out of go.mod, where their own requirements would decide
# which versions the product is built with.
set -eu
target=$1 package=$2
mkdir -p "$(dirname "$target")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
echo "Building $(basename "$target")"
GOFLAGS='' GOBIN=$bin go install "$package@${target#*"${package##*/}"-}" 2>"$bin/log" || {
	cat "$bin/log" >&2
	exit 1
}
mv "$bin/${package##*/}" "$target"
