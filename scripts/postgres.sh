#!/bin/sh
# Runs a command beside a PostgreSQL of its own, and leaves nothing behind.
#
#   scripts/postgres.sh COMMAND [ARGUMENT...]
#   scripts/postgres.sh         print the DSN and run until interrupted
#
# The command finds the DSN in GATEHOUSE_TEST_POSTGRES; the server gets
# GATEHOUSE_POSTGRES_OPTIONS (-c name=value ...) too. The cluster lives in a
# temporary directory, listens on a free loopback port, and keeps fsync on:
# what the tests say about durability is meant for such a server.
set -eu

PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
for tool in initdb postgres pg_isready; do
	command -v $tool >/dev/null || {
		echo "postgres.sh: $tool is missing; scripts/deps.sh installs it" >&2
		exit 1
	}
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-postgres.XXXXXX")
pid=""
cleanup() {
	if [ -n "$pid" ]; then
		kill -INT "$pid" 2>/dev/null || true # SIGINT: do not wait for clients
		wait "$pid" 2>/dev/null || true
	fi
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# PostgreSQL refuses to run as root. A server that outlives this script, when
# that is killed outright, is stopped by the kernel's parent-death signal.
as_server="setpriv --pdeathsig INT"
if [ "$(id -u)" -eq 0 ]; then
	owner=nobody
	if id postgres >/dev/null 2>&1; then owner=postgres; fi
	chown "$owner" "$dir"
	as_server="$as_server --reuid $owner --regid $(id -g "$owner") --clear-groups"
fi
command -v setpriv >/dev/null || as_server=""
cd "$dir"

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >password
[ "$(id -u)" -ne 0 ] || chown "$owner" password
$as_server initdb -D "$dir/data" -U gatehouse --pwfile=password \
	--auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >initdb.log 2>&1 || {
	cat initdb.log >&2
	exit 1
}

start() {
	# shellcheck disable=SC2086 # a list of words
	$as_server postgres -D "$dir/data" -c listen_addresses=127.0.0.1 -c port="$port" \
		-c unix_socket_directories="$dir" -c max_connections=300 -c fsync=on \
		-c timezone=UTC ${GATEHOUSE_POSTGRES_OPTIONS:-} >>server.log 2>&1 &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		if pg_isready -q -h "$dir" -p "$port"; then return 0; fi
		sleep 0.1
	done
	pid=""
	return 1 # most likely the port is taken
}

tries=0
until
	port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 30000))
	start
do
	tries=$((tries + 1))
	if [ "$tries" -ge 10 ]; then
		cat server.log >&2
		exit 1
	fi
done

GATEHOUSE_TEST_POSTGRES="postgres://gatehouse:$password@127.0.0.1:$port/postgres?sslmode=disable"
export GATEHOUSE_TEST_POSTGRES
cd "$OLDPWD"

if [ $# -eq 0 ]; then
	echo "$GATEHOUSE_TEST_POSTGRES"
	wait "$pid"
else
	"$@"
fi
