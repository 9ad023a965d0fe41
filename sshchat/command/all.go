package command

// all is every command there is, each from the file of its name.
var all []*Command

// An init and not a literal, because help's own command walks the registry made of it.
func init() {
	all = []*Command{
		claim, follow, head, help, history, identity, join, keyAdd, keyList, keyRemove, list, me, msg,
		names, part, passwd, query, quit, register, reply, say, set, shrug, topic, version, whoami, whois,
		away, back, clearScreen, editID, editLast, focus, ignore, inbox, mentions, recall, search, takeBack, unignore, unlock,
		accountDelete, allowAdd, allowDel, allowList, allowOff, allowOn, announce, audit, ban, bannedList, deop, inviteCreate, inviteList, inviteRevoke, inviteTo, kick, modRoom, motd, motdSet, op, reload, roomCreate, roomDelete, roomInfo, roomList, roomPrivate, slowRoom, stats, totpDisable, totpEnable, unmodRoom,
		userAddKey, userCreate, userDelete, userDisable, userEnable, userInfo, userList, userRemoveKey, userResetPassword, userSetRole, userUnlock,
		mute, sessions, unban, unmute,
		bellCommand, mouseCommand, quietCommand, themeCommand, timestampsCommand, uiCommand, zoneCommand,
	}
}
