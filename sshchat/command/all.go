package command

// all is every command there is. Each is added where it is written down, by var _ = add(…); the registry sorts them.
var all []*Command

func add(c *Command) *Command {
	if c.Effect < Reads || c.Effect > ChangesServer {
		panic("internal error: the command " + c.Name + " does not say what its effect is")
	}
	all = append(all, c)
	return c
}
