package command

import "context"

// These commands are doors to the settings of what things look like.
var (
	_ = door("ui", "[full|plain|auto]", uiSetting, "a full screen, or lines that scroll")
	_ = door("theme", "[NAME]", themeSetting, "choose colours, or list the themes")
	_ = door("timestamp", "[off|time|datetime]", timestampsSetting, "what stands before a message")
	_ = door("tz", "[ZONE]", zoneSetting, "the zone of times: /tz Europe/Vienna")
	_ = door("bell", "[off|mention|all]", bellSetting, "what rings the terminal's bell")
	_ = door("mouse", "[on|off]", mouseSetting, "scroll by the wheel; to select needs Shift")
	_ = door("quiet", "[on|off]", quietSetting, "hide who comes and goes, or do not")
)

// door is a command that sets one thing. Without a value it tells how that is set; what is on or off it turns.
func door(name, args string, s *setting, brief string) *Command {
	return add(&Command{
		Name: name, Args: args, Brief: brief, Group: Looks,
		More:  "Kept, and applied in all your sessions. A - goes back to what it is for who chose nothing.",
		Faces: Chat, Effect: ChangesOwn, Account: true, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			value := firstOf(c.Args)
			if value == "" && len(s.values) == 2 {
				value = s.values[0]
				if shownValue(c, s) == value {
					value = s.values[1]
				}
			}
			if value == "" {
				tellSetting(c, s)
				return nil
			}
			if err := chooseSetting(ctx, c, s, value); err != nil {
				return err
			}
			if a, ok := c.Hub.View().ByID(c.Account.ID); ok {
				c.Account = a
			}
			tellSetting(c, s)
			return nil
		},
	})
}

// tellSetting says how something is set, and what else it could be.
func tellSetting(c *Call, s *setting) {
	value, choices := shownValue(c, s), s.choices(c.Services)
	switch {
	case value == "":
		c.Notef("%s is not set: %s", s.name, s.meaning(c.Services))
	case len(choices) > 2:
		c.Notef("%s is %s (%s)", s.name, value, either(choices))
	default:
		c.Notef("%s is %s", s.name, value)
	}
}
