package command

// all is every command there is, each from the file of its name.
var all []*Command

// An init and not a literal, because help's own command walks the registry made of it.
func init() {
	all = []*Command{
		accountDelete, allowAdd, allowDel, allowList, allowOff, allowOn, announce, audit, away, back, backup, ban, bannedList,
		bellCommand, claim, clearScreen, deop, editID, editLast, focus, follow, head, help, history, hostkeyList, hostkeyRecords, hostkeyRotate, identity, ignore,
		inbox, inviteCreate, inviteList, inviteRevoke, inviteTo, join, keyAdd, keyList, keyRemove, kick, list, me,
		mentions, modRoom, motd, motdSet, mouseCommand, msg, mute, names, op, part, passwd, query, quietCommand, quit,
		recall, register, reload, reply, roomCreate, roomDelete, roomInfo, roomList, roomPrivate, say, search, sessions,
		set, shrug, slowRoom, stats, takeBack, themeCommand, timestampsCommand, topic, totpDisable, totpEnable, uiCommand,
		unban, unignore, unlock, unmodRoom, unmute, userAddKey, userCreate, userDelete, userDisable, userEnable, userInfo,
		userList, userRemoveKey, userResetPassword, userSetRole, userUnlock, version, whoami, whois, zoneCommand,
	}
}
