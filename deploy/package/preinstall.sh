#!/bin/sh
# Before files are unpacked, which belong to this user. On a system without systemd-sysusers useradd creates it.
set -e
if command -v systemd-sysusers >/dev/null; then
	echo 'u sshchat - "SSH chat server" /var/lib/sshchat' | systemd-sysusers --replace=/usr/lib/sysusers.d/sshchat.conf -
elif ! getent passwd sshchat >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/sshchat --no-create-home --shell /usr/sbin/nologin \
		--comment 'SSH chat server' sshchat
fi
