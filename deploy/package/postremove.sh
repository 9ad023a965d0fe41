#!/bin/sh
# After files are removed. dpkg: remove, purge or upgrade; rpm: the number of versions that are left. Accounts and history, which no
# package could bring back, stay even if the package is purged, and with them their user.
set -e
case $1 in
remove | 0)
	[ ! -d /run/systemd/system ] || systemctl daemon-reload
	;;
esac
case $1 in
purge | 0)
	if [ -d /var/lib/sshchat ]; then
		echo "sshchat: accounts, history and host keys are still in /var/lib/sshchat. To delete them for good:"
		echo "  rm -r /var/lib/sshchat && userdel sshchat"
	fi
	;;
esac
