#!/usr/bin/env bash
# usage: idle.sh [SECONDS]   what an agent costs that has every kind on and nothing to do:
# its memory (PSS; under 18 MiB) and CPU over some idle seconds (60; under 20 ms a
# minute), and the size of its program (under 12 MB), beside node_exporter on the same machine where that is installed. Needs make build.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
dir=$(mktemp -d)
pids=()
finish() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }

# What a process has used until now: PSS in KiB, CPU in milliseconds.
pss() { awk '/^Pss:/ {print $2}' "/proc/$1/smaps_rollup"; }
spent() { cat /proc/"$1"/task/*/schedstat 2>/dev/null | awk '{s += $1} END {print s / 1e6}'; }

port=$(free_port)
cat >"$dir/server.yaml" <<YAML
name: idle.example
listen: 127.0.0.1:$port
store: sqlite:$dir/server.db
data: $dir/data
YAML
as="bin/attesto-server --config $dir/server.yaml"
org=$($as org add --kind customer --name Idle --services sc,wh,pe,bk)
token=$($as token create --org "$org")
$as serve >"$dir/server.log" 2>&1 &
pids+=($!)
until curl -fs "http://127.0.0.1:$port/readyz" >/dev/null; do sleep 0.2; done

{
  echo "state_dir: $dir/agent"
  echo "collectors:"
  { bin/attesto-agent doctor --json --config /dev/null 2>/dev/null || true; } | python3 -c '
import json, sys
for k in json.load(sys.stdin)["kinds"]: print("  " + k["kind"] + ": {enabled: auto}")'
} >"$dir/agent.yaml"
bin/attesto-agent --config "$dir/agent.yaml" enroll --server "http://127.0.0.1:$port" --token "$token" >/dev/null
bin/attesto-agent --config "$dir/agent.yaml" run >"$dir/agent.log" 2>&1 &
agent=$!
pids+=("$agent")
if command -v prometheus-node-exporter >/dev/null; then
  prometheus-node-exporter --web.listen-address="127.0.0.1:$(free_port)" >/dev/null 2>&1 &
  exporter=$!
  pids+=("$exporter")
fi
sleep 60 # first looks, first push, and the runtime's return of memory
before=$(spent "$agent")
[ -z "${exporter:-}" ] || other=$(spent "$exporter")
sleep "$seconds"
printf 'attesto-agent  PSS %5.1f MiB  CPU %6.1f ms in %d idle seconds  program %.2f MB\n' \
  "$(pss "$agent" | awk '{print $1 / 1024}')" "$(spent "$agent" | awk -v b="$before" '{print $1 - b}')" "$seconds" "$(stat -c %s bin/attesto-agent | awk '{print $1 / 1e6}')"
if [ -n "${exporter:-}" ]; then
  printf 'node_exporter  PSS %5.1f MiB  CPU %6.1f ms in %d idle seconds  program %.2f MB\n' \
    "$(pss "$exporter" | awk '{print $1 / 1024}')" "$(spent "$exporter" | awk -v b="$other" '{print $1 - b}')" "$seconds" "$(stat -Lc %s "$(command -v prometheus-node-exporter)" | awk '{print $1 / 1e6}')"
fi
if [ -n "${IDLE_LOG:-}" ]; then cat "$dir/agent.log"; fi
