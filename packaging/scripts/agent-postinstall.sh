#!/bin/sh
# Groups that may read logs, the state folder, and the next step for the person at the terminal.
set -e
for group in adm systemd-journal; do
	if getent group "$group" >/dev/null 2>&1; then
		usermod --append --groups "$group" attesto
	fi
done
install -d -o attesto -g attesto -m 0711 /var/lib/attesto
# Hooks of any account may hand in reports, and not read or remove those of others.
install -d -o attesto -g attesto -m 1733 /var/lib/attesto/report
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl enable attesto-agent.service >/dev/null 2>&1 || true
fi
if [ -e /var/lib/attesto/identity.json ]; then
	if [ -d /run/systemd/system ]; then
		systemctl restart attesto-agent.service
	fi
	exit 0
fi
cat <<'END'

attesto-agent is installed. It sends nothing until this host is enrolled.

  1. Get a one-time token: on the board, Agents, Add an agent.
  2. Enroll:   sudo attesto-agent enroll --server https://YOUR.SERVER --token TOKEN
  3. Start:    sudo systemctl start attesto-agent
  4. See:      sudo attesto-agent doctor      what is seen here, what is missing and its cure

Configuration and its manual: /etc/attesto/agent.yaml
END
