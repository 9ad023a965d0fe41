package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sshchat/hostkeys"
	"sshchat/sshchat/text"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/clock"
	"sshchat/store/history"
	"sshchat/store/journal"
	"sshchat/store/owner"

	"golang.org/x/crypto/ssh"
)

// This file looks at what is in the data folder.

// files looks at who may read and write the files, and whose they are: the server runs as the user of the folder.
func (p *patient) files() {
	if me := os.Geteuid(); p.owned && me > 0 && p.uid != me {
		p.add(Warn, fmt.Sprintf("data folder %s belongs to %s", p.Data, owner.Name(p.uid)), "run the server, and this, as that user")
	}
	entries, err := os.ReadDir(p.Data)
	if err != nil {
		return
	}
	wrong := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !dataFile(e.Name()) {
			continue
		}
		path, perm := p.path(e.Name()), info.Mode().Perm()
		of, _, _ := owner.Of(info)
		private := !strings.HasSuffix(e.Name(), ".pub")
		switch {
		case !info.Mode().IsRegular():
			p.add(Fail, fmt.Sprintf("%s is not a regular file", path), "put the file itself there")
		case p.owned && of != p.uid:
			p.add(Fail, fmt.Sprintf("%s belongs to %s, and the folder to %s", path, owner.Name(of), owner.Name(p.uid)), fmt.Sprintf("chown %d %s", p.uid, path))
		case private && perm&0o077 != 0, perm&0o022 != 0:
			p.add(Fail, fmt.Sprintf("%s is open to other users (mode %04o)", path, perm), "chmod go-rwx "+path)
		default:
			continue
		}
		wrong++
	}
	if wrong == 0 {
		p.add(OK, "only their owner can read and write the files", "")
	}
}

// dataFile reports whether the server keeps a file of that name.
func dataFile(name string) bool {
	for _, prefix := range []string{"users.json", "changes.jsonl", "state.json", "message_history.", "audit.", "ssh_host_", "clock", "motd", "cluster.", store.NodeKeyFile} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// config looks at the configuration file, which can name admins.
func (p *patient) config() {
	if p.File == "" {
		return
	}
	info, err := os.Stat(p.File)
	if err != nil {
		p.add(Fail, fmt.Sprintf("configuration file: %v", err), "name another with --config")
		return
	}
	of, _, known := owner.Of(info)
	switch {
	case info.Mode().Perm()&0o022 != 0:
		p.add(Fail, fmt.Sprintf("%s can be changed by other users", p.File), "chmod go-w "+p.File)
	case known && of != 0 && of != p.uid:
		p.add(Fail, fmt.Sprintf("%s belongs to %s", p.File, owner.Name(of)), "chown root "+p.File)
	default:
		p.add(OK, fmt.Sprintf("configuration file %s", p.File), "")
	}
}

// hostKey looks at the current host key. Without one a server that was in use makes another, which alarms everybody.
func (p *patient) hostKey() {
	if p.HostKey != "" {
		p.add(OK, fmt.Sprintf("the host key is %s (host-key), which no backup has: keep a copy", p.HostKey), "")
		return
	}
	path := p.path(hostkeys.File)
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.used:
		p.add(Fail, "the host key is missing: the next start creates a new one, which every client will refuse", fmt.Sprintf("put the old key back as %s, from a backup made with --with-host-keys", path))
		return
	case errors.Is(err, fs.ErrNotExist):
		p.add(OK, "no host key yet; the first start creates one", "")
		return
	}
	signer, _, err := hostkeys.Load(p.Data)
	if err != nil {
		p.add(Fail, err.Error(), "")
		return
	}
	p.add(OK, "host key "+ssh.FingerprintSHA256(signer.PublicKey()), "")
}

// cluster looks whether a folder that belongs to a cluster has what its node needs.
func (p *patient) cluster() {
	if !store.InCluster(p.Data) {
		return
	}
	_, err := os.Lstat(p.path(store.ClusterKeyFile))
	switch {
	case !p.Cluster:
		p.add(Fail, fmt.Sprintf("%s belongs to a cluster, and the setting cluster is empty: the server does not start", p.Data), "set cluster to the NATS servers, or use: sshchat cluster leave --data "+p.Data)
	case errors.Is(err, fs.ErrNotExist):
		p.add(Fail, "the key of the cluster is missing", fmt.Sprintf("copy %s from another node, with mode 0600", p.path(store.ClusterKeyFile)))
	default:
		p.add(OK, "the folder belongs to a cluster", "")
	}
}

// maxQuick is how much history is read, in bytes: about a second.
const maxQuick = 64 << 20

// data looks whether accounts and history are intact and fit together.
func (p *patient) data() {
	if !p.used {
		p.add(OK, "no accounts and no history yet", "")
		return
	}
	var size int64
	paths, _ := filepath.Glob(p.path("message_history*.json")) // the pattern is valid
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	var report history.Report
	var damaged error
	if size <= maxQuick {
		report, damaged = history.Verify(p.Data, nil)
	}
	const mend = "restore a backup with sshchat restore; keep these files"
	changes, err := accounts.Verify(p.Data) // after the history: a server that runs may have gone on meanwhile
	if err != nil {
		p.add(Fail, fmt.Sprintf("accounts: %v", err), mend)
		return
	}
	p.add(OK, "accounts are intact", "")
	if size > maxQuick {
		p.add(OK, fmt.Sprintf("history has %d MiB, and was not read", size>>20), "to check all of it: sshchat verify "+p.Data)
		return
	}
	if damaged == nil {
		damaged = journal.Together(changes, report.Change)
	}
	if damaged != nil {
		p.add(Fail, fmt.Sprintf("history: %v", damaged), mend)
		return
	}
	p.add(OK, fmt.Sprintf("history is intact: %s", text.Count(int(report.Records), "record")), "")
}

// admin looks whether somebody administers the server, as far as users.json says: it is a second old at most.
func (p *patient) admin() {
	if !p.used {
		return
	}
	b, err := os.ReadFile(p.path("users.json"))
	if err != nil {
		p.add(Fail, fmt.Sprintf("accounts: %v", err), "run this as root, or as the user whom the folder belongs to")
		return
	}
	var list struct {
		Users []struct {
			Role     string
			Disabled bool
		}
	}
	if json.Unmarshal(b, &list) != nil {
		return // which was reported
	}
	for _, u := range list.Users {
		if u.Role == "admin" && !u.Disabled {
			p.add(OK, "there is an admin", "")
			return
		}
	}
	p.add(Warn, "there is no admin", "claim it with the code that the start prints, or stop the server and use: sshchat admin reset NAME KEYFILE")
}

// backupEvery is after how long a backup is called old.
const backupEvery = 30 * 24 * time.Hour

// backup looks for the last backup that the live file of the audit log has.
func (p *patient) backup() {
	if !p.used {
		return
	}
	b, err := os.ReadFile(p.path("audit.jsonl"))
	if err != nil {
		return
	}
	var last, first time.Time
	for line := range bytes.Lines(b) {
		var entry struct {
			At     time.Time
			Do     string
			Result string
		}
		if json.Unmarshal(line, &entry) != nil {
			continue
		}
		if first.IsZero() {
			first = entry.At
		}
		if entry.Do == "backup" && (entry.Result == "" || entry.Result == "done") {
			last = entry.At
		}
	}
	const do = "ssh HOST backup --with-host-keys > chat.tar"
	switch age := p.Now().Sub(last); {
	case last.IsZero() && (first.IsZero() || p.Now().Sub(first) < backupEvery):
		p.add(OK, "no backup yet; the server is new", do)
	case last.IsZero():
		p.add(Warn, "the audit log has no backup", do)
	case age > backupEvery:
		p.add(Warn, fmt.Sprintf("the last backup is %s old", text.Count(int(age/(24*time.Hour)), "day")), do)
	default:
		p.add(OK, "last backup on "+last.UTC().Format(time.DateOnly), "")
	}
}

// clock compares the clock with the latest time at which the server trusted it.
func (p *patient) clock() {
	if _, err := os.Lstat(p.path("clock")); err != nil {
		p.add(OK, "clock shows "+p.Now().UTC().Format(time.DateTime)+" UTC", "")
		return
	}
	r := clock.Open(p.path("clock"), clock.Options{Now: p.Now, Log: slog.New(slog.DiscardHandler)}).Read()
	const hour = time.Hour
	shows := "clock shows " + r.Wall.UTC().Format(time.DateTime) + " UTC"
	switch step := r.Wall.Sub(r.Latest); {
	case step > clock.MaxStep:
		p.add(Warn, fmt.Sprintf("%s, %s after the server last ran", shows, text.Count(int(step/(24*hour)), "day")), "set it if it is wrong; if it is right, the server believes it after a day")
	case step < -hour:
		p.add(Fail, fmt.Sprintf("%s, %s before what the server has seen", shows, (-step).Round(time.Minute)), "set the clock, and keep it right with NTP")
	default:
		p.add(OK, shows, "")
	}
}
