#!/usr/bin/env bash
# usage: fixtures.sh DIR   tries every parser on a folder of captured files and says, per
# package, how many tests and files were tried. Every test that reads such a folder is
# named TestFixture…; one that is skipped, or a package without any, fails.
set -euo pipefail
ATTESTO_FIXTURES=$(cd "$1" && pwd)
export ATTESTO_FIXTURES
log=$(mktemp)
trap 'rm -f "$log"' EXIT
packages=$(grep -rl --include='*_test.go' ATTESTO_FIXTURES evidence collectors server | xargs -n 1 dirname | sort -u | sed 's,^,./,')
status=0
# shellcheck disable=SC2086 # a list of folders
go test -v -count=1 -run '^TestFixture' $packages >"$log" 2>&1 || status=$?
awk '
  /^ *--- FAIL/ { failed = 1 }
  /^--- (PASS|FAIL): TestFixture/ { tests++ }
  /^ +--- (PASS|FAIL): TestFixture/ { files++ }
  /^ *--- SKIP: TestFixture/ { skipped++; print "skipped:", $0 }
  / fixtures [0-9][0-9]-/ { sub(/^.* fixtures /, "  "); print }
  /^(ok|FAIL)[ \t]+[a-z]/ {
    printf "%-60s %3d tests, %4d cases, %d skipped  %s\n", $2, tests, files, skipped, $1
    if (tests == 0 || skipped > 0) bad = 1
    all += files; tests = files = skipped = 0
  }
  END { printf "%d cases in all\n", all; exit bad }
' "$log" || status=1
if [ "$status" -ne 0 ]; then
  grep -vE '^(=== |ok|PASS| *--- (PASS|SKIP))' "$log" | head -n 200
  exit "$status"
fi
