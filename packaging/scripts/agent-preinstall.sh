#!/bin/sh
# The account under which attesto-agent runs: no shell, no password.
set -e
if ! getent group attesto >/dev/null 2>&1; then
	groupadd --system attesto
fi
if ! getent passwd attesto >/dev/null 2>&1; then
	useradd --system --gid attesto --home-dir /var/lib/attesto --no-create-home --shell /usr/sbin/nologin attesto
fi
