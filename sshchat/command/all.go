package command

// all is every command there is. Each is added where it is written down, by var _ = add(…); the registry sorts them.
var all []*Command

func add(c *Command) *Command {
	all = append(all, c)
	return c
}
