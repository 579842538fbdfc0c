#!/bin/sh
# Evidence is never deleted by a package: the data folder stays, even on purge.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "${1:-}" = purge ] && [ -d /var/lib/attesto-server ]; then
	echo "attesto-server: /var/lib/attesto-server is kept; it holds the evidence and the log's keys."
fi
