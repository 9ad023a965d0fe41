package sshchat

import (
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
)

// complete is what Tab offers: commands after a slash, rooms after #, people elsewhere.
func (v *display) complete(line string, cursor int) (start int, candidates []string) {
	start = strings.LastIndexAny(line[:cursor], " \n") + 1
	word := strings.ToLower(line[start:cursor])
	services := v.who.server.services
	switch {
	case strings.HasPrefix(word, "/") && start == 0:
		for _, name := range services.Commands.Names(command.Chat) {
			candidates = append(candidates, "/"+name)
		}
	case strings.HasPrefix(word, "#"):
		for _, r := range services.Hub.Rooms(v.who.name) {
			candidates = append(candidates, "#"+r.Name.String())
		}
	default:
		at := ""
		if strings.HasPrefix(word, "@") {
			at = "@"
		}
		for _, name := range v.speakers() {
			candidates = append(candidates, at+name.String())
		}
	}
	return start, slices.DeleteFunc(candidates, func(c string) bool { return !strings.HasPrefix(c, word) })
}

// speakers are the others in the room: who spoke last first, then who has not spoken lately, by name.
func (v *display) speakers() []chat.Name {
	var names []chat.Name
	seen := map[chat.Name]bool{v.who.name: true, {}: true}
	for _, m := range slices.Backward(v.past(v.room, 0, chat.IdleLog)) {
		if !seen[m.From] {
			seen[m.From] = true
			names = append(names, m.From)
		}
	}
	people, err := v.who.server.services.Hub.Members(v.who.name, v.room)
	if err != nil {
		return names
	}
	for _, p := range people {
		if !seen[p.Name] {
			names = append(names, p.Name)
		}
	}
	return names
}
