#!/bin/bash
# pingbot.sh KEY STATE HOST...: answers "!ping" in #general, once each, also what was said while it or the server was away.
#
# KEY logs the bot in and opens what is sealed to it; STATE keeps the last message dealt with, as general/12;
# HOST is how ssh reaches the server, as in: pingbot.sh ~/.ssh/bot bot.state -p 2222 bot@chat.host
# It needs ssh, jq, age and tar. End it with Ctrl+C.
set -euo pipefail
key=$1 state=$2
shift 2
server=(ssh -i "$key" -o IdentitiesOnly=yes -o BatchMode=yes "$@")

# deal handles one message, a JSON object, and notes that it did. What is noted is never dealt with again.
deal() {
	local from text seq
	{ read -r seq && read -r from && read -r text; } < <(jq -r '.seq, .from, .text' <<<"$1")
	[ "$seq" -gt "$(cut -d/ -f2 "$state")" ] || return 0
	if [ "$text" = '!ping' ]; then
		"${server[@]}" say general "$from: pong" </dev/null >/dev/null
	fi
	echo "general/$seq" >"$state.tmp" && mv "$state.tmp" "$state"
}

# catch_up deals with what the server's memory no longer has: it is in the sealed history, which the key opens.
catch_up() {
	local dir line
	dir=$(mktemp -d)
	"${server[@]}" history --tar general --since "$(cat "$state")" </dev/null |
		tar x --to-command="age -d -i '$key'" >"$dir/lines"
	while IFS= read -r line; do
		[ "$(jq -r .seq <<<"$line")" -gt "$1" ] || deal "$line"
	done <"$dir/lines"
	rm -r "$dir"
}

[ -s "$state" ] || echo general/0 >"$state"
while true; do
	"${server[@]}" follow general --json --since "$(cat "$state")" </dev/null | while IFS= read -r line; do
		if [ "$(jq 'has("missed")' <<<"$line")" = true ]; then
			catch_up "$(jq .to <<<"$line")"
		else
			deal "$line"
		fi
	done || true
	sleep 1 # the server is away; come back
done
