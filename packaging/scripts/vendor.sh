#!/bin/sh
# Fetches the pages' style sheet and script, and the rules that tests hold the
# pages to, by npm, at exactly the named versions.
set -eu
web="$(cd "$(dirname "$0")/../.." && pwd)/server/web"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir out
for package in "$@"; do
	file=$(npm pack --silent "$package" | tail -n 1)
	mkdir unpacked
	tar -xzf "$file" -C unpacked
	for want in package/dist/css/tabler.min.css package/dist/htmx.min.js package/axe.min.js; do
		[ ! -f "unpacked/$want" ] || cp "unpacked/$want" out/
	done
	case $package in
	htmx.org@*) cp unpacked/package/LICENSE out/htmx.LICENSE ;;
	axe-core@*) cp unpacked/package/LICENSE out/axe.LICENSE ;;
	esac
	rm -rf unpacked
done
for want in tabler.min.css htmx.min.js htmx.LICENSE axe.min.js axe.LICENSE; do
	[ -s "out/$want" ] || { echo "$want is missing: none of $* has it" >&2; exit 1; }
done
mv out/axe.* "$web/testdata/axe/"
cp out/* "$web/static/vendor/"
