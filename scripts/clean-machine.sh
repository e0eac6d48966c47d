#!/bin/sh
# Follows the README as a newcomer does: a Debian with nothing but Go, make, git
# and curl, this tree, `make run`, then each line of the README's first sign-in,
# word for word.
#
#   scripts/clean-machine.sh        as root, while port 8080 is free; takes two minutes
#
# Go is this machine's, mounted read-only; modules are downloaded afresh.
set -eu

if [ "${1:-}" != inside ]; then
	root=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-clean.XXXXXX")
	trap 'rm -rf --one-file-system "$root"' EXIT
	sources=/etc/apt/sources.list.d/debian.sources
	[ -e "$sources" ] || sources=/etc/apt/sources.list
	mmdebstrap --quiet --variant=minbase --include=ca-certificates,make,git,curl bookworm "$root" "$sources"
	# How this machine reaches the network, and whom it trusts there.
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
	cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
	mkdir -p "$root/usr/local/go" "$root/root/gatehouse"
	tar -C "$(dirname "$0")/.." -c --exclude=./bin --exclude=./.tools --exclude=node_modules --exclude='./*.db*' \
		--exclude='./coverage*' . | tar -C "$root/root/gatehouse" -x --no-same-owner
	# The namespaces end with the script, and every process and mount with them.
	exec unshare --mount --pid --fork --kill-child sh -eu -c '
		trap "umount -l \"$0/proc\" \"$0/usr/local/go\"; rm -rf --one-file-system \"$0\"" EXIT
		mount --bind -o ro "$1" "$0/usr/local/go"
		chroot "$0" /usr/bin/env -i HOME=/root GOPROXY="$2" GOSUMDB="$3" \
			PATH=/usr/local/go/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			sh /root/gatehouse/scripts/clean-machine.sh inside' \
		"$root" "$(go env GOROOT)" "$(go env GOPROXY)" "$(go env GOSUMDB)"
fi

mount -t proc proc /proc
cd /root/gatehouse
touch run.log
make run >run.log 2>run.err &
until grep -q 'curl' run.log; do
	kill -0 $! || { cat run.log run.err >&2; exit 1; }
	sleep 1
done
cat run.log

# From here on, an answer that is an error fails the script; the lines themselves
# are run as they stand.
curl() { command curl --fail "$@"; }

# What the program prints is ready to paste.
sed -n '/^ *curl /,/[^\\]$/p' run.log >printed.sh
test -s printed.sh
set -v
. ./printed.sh >answers

# So are the README's lines, but for the password, which it can't know.
set +v
password=$(sed -n 's/^ *password *//p' run.log)
awk '/^## / {here = /first sign-in/} /^```/ {block = !block && /^```sh/; next} here && block' README.md |
	sed "s/^password=\.\.\.$/password=$password/" >readme.sh
grep -q '^password=.' readme.sh
grep -q '/logoff/' readme.sh
set -v
. ./readme.sh >answers
set +v
echo "The README holds on a clean machine."
