#!/bin/sh
# Stops the service when the package goes, not when it is upgraded (deb: "remove", rpm: 0 left).
set -e
case "${1:-}" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now attesto-server.service || true
	fi
	;;
esac
