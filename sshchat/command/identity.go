package command

import "context"

var _ = add(&Command{
	Name: "identity", Brief: "print what your password opens history with", Group: Yours,
	More:  "An age file that your password opens.\nssh … identity > me.age, then: ssh … history general | age -d -i me.age",
	Faces: Exec, Effect: Reads, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		armored, err := c.Passwords.Identity(c.Account.ID)
		if err != nil {
			return err
		}
		c.Out.Write(armored)
		return nil
	},
})
