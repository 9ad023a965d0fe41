package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/changes"
	"sshchat/store/durable"
)

// changesName is the log of what was changed since users.json was written, beside it.
const changesName = "changes.jsonl"

func (c *checkpoints) changesPath() string { return filepath.Join(filepath.Dir(c.path), changesName) }

// open reads users.json and what was changed since it was written, and returns what is durable. It changes nothing if what is
// there does not go together.
func (c *checkpoints) open(at time.Time) (point, error) {
	g, info, err := c.load()
	if errors.Is(err, fs.ErrNotExist) {
		g, info, err = c.begin()
	}
	if err != nil {
		return point{}, fmt.Errorf("open %s: %w", c.path, err)
	}
	c.written, c.last = info, g
	log, content, err := changes.Open(c.disk, c.changesPath())
	if errors.Is(err, fs.ErrNotExist) {
		return g.point, c.restart()
	}
	if err != nil {
		return point{}, fmt.Errorf("open %s: %w", c.changesPath(), err)
	}
	c.changes = log
	if content.Torn > 0 {
		c.log.Warn("the last change was cut off by a crash; it was never confirmed to anyone", "bytes", content.Torn, "kept in", c.changesPath()+".torn")
	}
	p, err := c.recover(content, at)
	if err != nil {
		return point{}, errors.Join(fmt.Errorf("open %s: %w", c.path, err), c.changes.Close())
	}
	return p, nil
}

// restart makes a log of changes that goes on from users.json as it is.
func (c *checkpoints) restart() (err error) {
	c.changes, err = changes.Create(c.disk, c.changesPath(), c.last.checkpoint())
	c.first = c.last
	return err
}

// load reads the file. An error wraps fs.ErrNotExist if there is none.
func (c *checkpoints) load() (g generation, info fs.FileInfo, err error) {
	info, err = c.stat(c.path)
	if err != nil {
		return g, nil, err
	}
	if info != nil && !info.Mode().IsRegular() { // a link would be replaced by a file at the first change
		return g, nil, errors.New("it is not a regular file")
	}
	b, err := c.read(c.path)
	if err != nil {
		return g, nil, err
	}
	g.sum = digest(b)
	if g.State, g.b, err = parse(b); err != nil {
		return g, nil, err
	}
	if info != nil && info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(c.path, 0o600); err != nil {
			return g, nil, err
		}
		c.log.Warn("users.json could be read by other users; fixed its mode", "mode", info.Mode().Perm())
	}
	return g, info, nil
}

// begin makes the file of a new server.
func (c *checkpoints) begin() (g generation, info fs.FileInfo, err error) {
	for _, left := range []string{c.path + durable.BackupSuffix, c.changesPath()} {
		f, err := c.disk.Open(left)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = f.Close()
		}
		return g, nil, errors.Join(fmt.Errorf("it is missing, but %s exists: copy %s to it, or remove that and %s as well to start over",
			left, c.path+durable.BackupSuffix, c.changesPath()), err)
	}
	g.State = chat.NewState(chat.Parts{})
	b, err := encode(g.State, 0)
	if err != nil {
		return g, nil, err
	}
	g.sum = digest(b)
	info, err = durable.ReplaceOn(c.disk, c.path, b)
	return g, info, err
}

// recover applies what was changed since users.json was written. If that was edited by hand meanwhile, the edit counts.
func (c *checkpoints) recover(content *changes.Content, at time.Time) (p point, err error) {
	for _, l := range content.Lines {
		if l.B > c.last.b {
			c.acts = append(c.acts, l.Acts...)
		}
	}
	_, ours := content.Named(c.last.sum)
	taken := content.Taken(c.last.sum)
	if !ours && !taken && c.last.b >= content.Last() { // there is nothing to apply
		if err := c.changes.Close(); err != nil {
			return p, err
		}
		return c.last.point, c.restart()
	}
	file := c.last
	if content.Start.Sum == file.sum {
		c.first = file
	}
	if ours {
		p.b = content.Last()
		if p.State, err = applied(file.point, content, p.b); err == nil && p.b > file.b {
			c.log.Info("applied changes made since users.json was written", "changes", p.b-file.b, "last", p.b)
		}
		return p, err
	}
	backup, ok := c.backup(content)
	if !ok || backup.b > file.b {
		return p, c.unknown(content)
	}
	// What the server wrote last is not there any more, so what follows is found by the one before it.
	c.last, c.before = generation{}, backup
	p.b = content.Last()
	if p.State, err = applied(backup.point, content, p.b); err != nil || taken {
		c.taken = true
		return p, err
	}
	return c.edited(file, backup, content, p, at)
}

// unknown is why a users.json that was edited by hand cannot be taken: what it was before is not known.
func (c *checkpoints) unknown(content *changes.Content) error {
	file, last := c.last, content.Last()
	insist := fmt.Sprintf(`To use it as it is, without changes %d to %d, run: sed -i '1s/"upto":[0-9]*/"upto":%d/' %s`, file.b+1, last, last, c.path)
	if file.b < content.Start.Upto {
		return fmt.Errorf("it is an old copy, of change %d, and %s has changes %d to %d: restore the newest. %s",
			file.b, c.changesPath(), content.Start.Upto+1, last, insist)
	}
	return fmt.Errorf("it was edited by hand, and %s has changes %d to %d, which were made after it was written. To keep both, "+
		"the previous version is needed, but %s is missing, or not as the server wrote it. %s",
		c.changesPath(), file.b+1, last, c.path+durable.BackupSuffix, insist)
}

// edited takes an edit by hand of a file that the server wrote after the backup, into p. What was changed later in the same
// place is logged.
func (c *checkpoints) edited(file, backup generation, content *changes.Content, p point, at time.Time) (point, error) {
	base, err := applied(backup.point, content, file.b)
	if err != nil {
		return p, err
	}
	merged, err := p.Edited(base, file.State)
	if err != nil {
		return p, fmt.Errorf("it was edited by hand, and conflicts with changes %d to %d that were made before: %w. "+
			`To use it as it is, without those, set "upto" in it to %d`, file.b+1, p.b, err, p.b)
	}
	by := touched(file.State.Since(base), base)
	for _, l := range content.Lines {
		if l.B <= file.b {
			continue
		}
		d, err := DecodeDifference(l.Change)
		if err != nil {
			return p, fmt.Errorf("change %d: %w", l.B, err)
		}
		for what := range touched(d, p.State) {
			if by[what] {
				c.log.Warn("users.json was edited by hand where a later change was made; where they differ, the edit takes effect", "what", what, "change", l.B)
			}
		}
	}
	b, err := EncodeDifference(merged.Since(p.State))
	if err != nil {
		return p, err
	}
	line := changes.Line{B: p.b + 1, At: at, Edit: file.sum, Change: b}
	if n := len(content.Lines); n > 0 {
		line.N = content.Lines[n-1].N
	}
	c.log.Info("users.json was edited by hand; changes made since it was written are kept", "changes", p.b-file.b)
	c.taken = true
	return point{merged, line.B}, c.changes.Append(line)
}

// touched names the entities that a difference from s, or to it, changes.
func touched(d chat.Difference, s *chat.State) map[string]bool {
	names := make(map[string]bool)
	add := func(kind string, words ...string) {
		for _, w := range words {
			names[kind+" "+w] = true
		}
	}
	for _, a := range d.Accounts.Put {
		add("account", a.Name.String())
	}
	for _, id := range d.Accounts.Removed {
		if a, ok := s.ByID(id); ok {
			add("account", a.Name.String())
		}
	}
	for _, r := range d.Rooms {
		if r.Settings != nil {
			add("room", r.Name.String())
		}
		for _, m := range r.Members.Put {
			add("member of "+r.Name.String(), m.Name.String())
		}
		for _, name := range r.Members.Removed {
			add("member of "+r.Name.String(), name.String())
		}
	}
	for _, name := range d.RoomsRemoved {
		add("room", name.String())
	}
	for list, e := range map[string]chat.Entries[chat.Sanction, string]{"ban": d.Bans, "mute": d.Mutes} {
		for _, put := range e.Put {
			add(list, put.Target())
		}
		add(list, e.Removed...)
	}
	for _, i := range d.Invites.Put {
		add("invite", i.ID)
	}
	add("invite", d.Invites.Removed...)
	for _, p := range d.Pins.Put {
		add("pin", p.ID())
	}
	add("pin", d.Pins.Removed...)
	for _, n := range d.Nodes.Put {
		add("node", n.Name)
	}
	add("node", d.Nodes.Removed...)
	if d.Allowlist != nil {
		add("allowlist", "")
	}
	if d.Motd != nil {
		add("message of the day", "")
	}
	if d.HostKeys != nil {
		add("host keys", "")
	}
	if d.Claims != nil {
		add("codes to become the first admin", "")
	}
	if d.Registration != nil {
		add("registration", string(*d.Registration))
	}
	for _, name := range slices.Concat(d.Reserved.Put, d.Reserved.Removed) {
		add("reserved name", name.String())
	}
	return names
}

// Verify checks that users.json and changes.jsonl of a data folder are whole and go together, and returns the number of the last
// change. A server may be running. The error wraps fs.ErrNotExist if there is neither.
func Verify(dir string) (last uint64, err error) {
	for range verifyAgain { // a server may be writing to them meanwhile
		if last, err = verify(dir); err == nil {
			break
		}
	}
	return last, err
}

// verifyAgain is how often files that do not fit are read.
const verifyAgain = 3

func verify(dir string) (last uint64, err error) {
	path := filepath.Join(dir, "users.json")
	users, err := os.ReadFile(path) // before the log, which names it then
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	log, logErr := os.ReadFile(filepath.Join(dir, changesName))
	switch {
	case errors.Is(logErr, fs.ErrNotExist) && err == nil:
		if _, last, err = parse(users); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		return last, nil
	case logErr != nil:
		return 0, logErr
	case err != nil:
		return 0, fmt.Errorf("%s is missing, but %s exists", path, changesName)
	}
	content, err := changes.Parse(log)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Join(dir, changesName), err)
	}
	s, b, err := parse(users)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if _, ours := content.Named(digest(users)); ours {
		if _, err := applied(point{s, b}, content, content.Last()); err != nil {
			return 0, fmt.Errorf("%s: %w", filepath.Join(dir, changesName), err)
		}
	}
	return max(b, content.Last()), nil
}
