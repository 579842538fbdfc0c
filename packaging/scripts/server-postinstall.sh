#!/bin/sh
# The data folder, and the next step for the person at the terminal.
set -e
install -d -o attesto-server -g attesto-server -m 0700 /var/lib/attesto-server
# Keys that root made by a command before belong to the service.
chown -R attesto-server:attesto-server /var/lib/attesto-server
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if systemctl is-active --quiet attesto-server.service; then
		systemctl restart attesto-server.service
		exit 0
	fi
fi
[ "${2:-}" = "" ] || exit 0
cat <<'END'

attesto-server is installed and not started yet.

  1. Set name, public_url, tls:  editor /etc/attesto/server.yaml
  2. Start:                      systemctl enable --now attesto-server
  3. Open the link that it says, once and for a day:
                                 journalctl -u attesto-server -n 20
     Its pages make the provider, your account, the first customer and a token for its first host.

Configuration and its manual: /etc/attesto/server.yaml
END
