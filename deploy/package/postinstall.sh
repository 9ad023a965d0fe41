#!/bin/sh
# After files are unpacked. dpkg: configure [OLD VERSION]; rpm: the number of versions that are installed.
set -e
case $1 in
configure) old=$2 ;;
1) old= ;;
2) old=rpm ;;
*) exit 0 ;;
esac

if command -v systemd-tmpfiles >/dev/null; then
	systemd-tmpfiles --create /usr/lib/tmpfiles.d/sshchat.conf
else
	install -d -m 0700 -o sshchat -g sshchat /var/lib/sshchat
fi
for file in /etc/systemd/system/sshchat.service /usr/local/bin/sshchat; do
	[ ! -e $file ] || echo "sshchat: $file, installed by hand, is used instead of this package's; delete it" >&2
done
[ ! -d /run/systemd/system ] || systemctl daemon-reload

if [ -z "$old" ]; then
	cat <<'END'
sshchat is installed. It is not started, since anyone could create an account by default: see
/etc/sshchat/sshchat.toml. To start it, and to read the code that makes you its admin:
  systemctl enable --now sshchat
  journalctl -u sshchat
END
elif [ -d /run/systemd/system ]; then
	# A restart keeps the scrollback. A server whose settings are wrong goes on running as it is.
	if /usr/bin/sshchat config check --config /etc/sshchat/sshchat.toml --data /var/lib/sshchat >/dev/null; then
		systemctl try-restart sshchat.service
	else
		echo "sshchat: not restarted: correct /etc/sshchat/sshchat.toml, then: systemctl restart sshchat" >&2
	fi
fi
