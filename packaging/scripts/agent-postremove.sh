#!/bin/sh
# On purge the keys, the spool and the account go too; on remove they stay.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "${1:-}" = purge ]; then
	rm -rf /var/lib/attesto
	if getent passwd attesto >/dev/null 2>&1; then
		userdel attesto || true
	fi
fi
