#!/bin/sh
# Unpacks a Debian package that cannot be installed beside others (Exim beside Postfix)
# into the cache of the tests, and installs the libraries that it needs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1
folder=${XDG_CACHE_HOME:-$HOME/.cache}/attesto-tests/$name
[ ! -d "$folder" ] || exit 0
temp=$(mktemp -d)
chmod 755 "$temp" # apt fetches as a user of its own
trap 'rm -rf "$temp"' EXIT
cd "$temp"
echo "unpacking for the tests: $name"
apt-get -q download "$name"
libraries=$(dpkg-deb -f "$name"_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p')
# shellcheck disable=SC2086 # one word per package
"$here/install-packages.sh" $libraries
dpkg-deb -x "$name"_*.deb files
mkdir -p "$(dirname "$folder")"
mv files "$folder"
