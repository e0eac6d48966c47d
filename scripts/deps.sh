#!/bin/sh
# Makes sure that this machine has what the tests need beyond Go and make.
#
#   scripts/deps.sh        install what is missing (root on Debian), else name it and fail
#   scripts/deps.sh check  only name it and fail
#
# Nothing that is present is upgraded, and no service is left running: the
# tests start what they need themselves.
set -eu

missing=""

# need PACKAGES TEST...: the packages are missing unless the test succeeds.
need() {
	packages=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $packages"
}

have() { command -v "$1"; }
have_postgres() { have initdb || ls /usr/lib/postgresql/*/bin/initdb; }
# Debian's own interpreter: another python3 earlier in PATH lacks the modules.
have_python() { /usr/bin/python3 -c "import $1"; }
have_certificates() { test -s /etc/ssl/certs/ca-certificates.crt; }

find_missing() {
	missing=""
	need "gcc libc6-dev" have gcc # the race detector links with it
	need git have git
	need curl have curl
	need ca-certificates have_certificates
	need postgresql-15 have_postgres
	need "nodejs npm" have npm
	need python3-django have_python django
	need python3-djangorestframework have_python rest_framework
	need python3-djangorestframework-simplejwt have_python rest_framework_simplejwt
	need python3-psycopg2 have_python psycopg2 # the peer of make bench
	need wrk have wrk                          # a load generator of make bench
	need "python3-jwt python3-cryptography" have_python jwt,cryptography
	need gunicorn test -x /usr/bin/gunicorn
	need nginx-light test -x /usr/sbin/nginx
	need podman have podman
	need containernetworking-plugins test -x /usr/lib/cni/portmap
	need iptables have iptables
	need runc have runc
	need mmdebstrap have mmdebstrap
}

find_missing
[ -n "$missing" ] || exit 0

if [ "${1:-install}" = check ] || [ "$(id -u)" -ne 0 ] || ! have apt-get >/dev/null; then
	echo "The tests need these Debian packages (or their like):$missing" >&2
	echo "Install them: sudo apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi

echo "Installing:$missing"
# RUNLEVEL=1 keeps invoke-rc.d from starting the services that come along.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
	apt-get update -q
	# shellcheck disable=SC2086 # a list of words
	apt-get install -y -q --no-install-recommends $missing
} >"$log" 2>&1 || {
	cat "$log" >&2
	exit 1
}

find_missing
if [ -n "$missing" ]; then
	echo "Still missing after the installation:$missing" >&2
	exit 1
fi
