package command

// all is every command there is, each from the file of its name.
var all []*Command

// An init and not a literal, because help's own command walks the registry made of it.
func init() {
	all = []*Command{
		claim, follow, head, help, history, identity, join, keyAdd, keyList, keyRemove, list, me, msg,
		names, part, passwd, query, quit, register, reply, say, set, topic, version, whoami,
		bellCommand, mouseCommand, quietCommand, themeCommand, timestampsCommand, uiCommand, zoneCommand,
	}
}
