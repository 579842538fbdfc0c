#!/bin/sh
# The account under which attesto-server runs: no shell, no password.
set -e
if ! getent group attesto-server >/dev/null 2>&1; then
	groupadd --system attesto-server
fi
if ! getent passwd attesto-server >/dev/null 2>&1; then
	useradd --system --gid attesto-server --home-dir /var/lib/attesto-server --no-create-home --shell /usr/sbin/nologin attesto-server
fi
