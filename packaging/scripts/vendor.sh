#!/bin/sh
# Fetches the pages' style sheet and script by npm, at exactly the named versions.
set -eu
target="$(cd "$(dirname "$0")/../.." && pwd)/server/web/static/vendor"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir out
for package in "$@"; do
	file=$(npm pack --silent "$package" | tail -n 1)
	mkdir unpacked
	tar -xzf "$file" -C unpacked
	for want in package/dist/css/tabler.min.css package/dist/htmx.min.js; do
		[ ! -f "unpacked/$want" ] || cp "unpacked/$want" out/
	done
	case $package in htmx.org@*) cp unpacked/package/LICENSE out/htmx.LICENSE ;; esac
	rm -rf unpacked
done
for want in tabler.min.css htmx.min.js htmx.LICENSE; do
	[ -s "out/$want" ] || { echo "$want is missing: none of $* has it" >&2; exit 1; }
done
cp out/* "$target/"
