#!/bin/sh
# Before files are removed. dpkg: remove or upgrade; rpm: the number of versions that will be left. An upgrade stops nothing: the
# new version restarts the server.
set -e
case $1 in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now sshchat.socket sshchat.service
elif command -v systemctl >/dev/null; then
	systemctl --no-reload disable sshchat.socket sshchat.service
fi
