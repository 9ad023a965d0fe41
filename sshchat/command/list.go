package command

import (
	"context"
	"fmt"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "rooms", Aliases: []string{"list"}, Brief: "list the rooms", Group: Rooms,
	More:  "A * marks those you are in.",
	Faces: Both, Effect: Reads, List: true, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		var t table
		for _, r := range c.Hub.Rooms(c.Account.Name) {
			if c.json() {
				c.printJSON(roomJSON{r.Name, r.Topic, r.Private, r.Members, r.Here, r.Joined})
				continue
			}
			mark := " "
			if r.Joined {
				mark = "*"
			}
			t.row(mark+" #"+r.Name.String(), fmt.Sprintf("%d of %d here", r.Here, r.Members), r.Topic)
		}
		t.print(c)
		return nil
	},
})

type roomJSON struct {
	Room    chat.RoomName `json:"room"`
	Topic   string        `json:"topic"`
	Private bool          `json:"private"`
	Members int           `json:"members"`
	Here    int           `json:"here"`
	Joined  bool          `json:"joined"`
}

func jsonFlag(f *pflag.FlagSet) { f.Bool("json", false, "one JSON object a line") }
