#!/bin/sh
# Installs the named Debian packages that are not installed yet.
set -eu
missing=""
if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "This host has no dpkg. Install these yourself, then run 'go test -race ./...': $*" >&2
	exit 1
fi
for name in "$@"; do
	status=$(dpkg-query -W -f '${Status}' "$name" 2>/dev/null || true)
	[ "$status" = "install ok installed" ] || missing="$missing $name"
done
[ -n "$missing" ] || exit 0
root=""
[ "$(id -u)" = 0 ] || root="sudo"
echo "installing for the tests:$missing"
export DEBIAN_FRONTEND=noninteractive
$root apt-get -q -o DPkg::Lock::Timeout=300 update
# shellcheck disable=SC2086 # one word per package
$root apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing
