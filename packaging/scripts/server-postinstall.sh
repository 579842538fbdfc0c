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

  1. Set name, public_url, smtp: sudoedit /etc/attesto/server.yaml
  2. Start:                    sudo systemctl enable --now attesto-server
  3. Make the provider, the first sign-in and the first token:
       sudo -u attesto-server attesto-server org add --kind provider --name "YOUR NAME"
       sudo -u attesto-server attesto-server user add --email you@example.org --org ORG --role admin
       sudo -u attesto-server attesto-server token create --org ORG

Configuration and its manual: /etc/attesto/server.yaml
END
