package handover

import (
	"encoding/json"
	"os"
)

// A program that is executed in place of this one keeps the files that are open and not to be closed by that. It finds them by
// a variable of its environment, as systemd's LISTEN_FDS, but with any numbers: those that systemd has used may be taken.

// passedVariable names the open files. It does not begin as the variables of settings do, and counts for one process: whoever
// inherits it from that one by mistake has another number.
const passedVariable = "_SSHCHAT_PASSED"

type passedFiles struct {
	PID   int            `json:"pid"`
	Files map[string]int `json:"files"`
}

// Names of what is passed on.
const (
	MemoryFile = "sshchat-rooms"
	KeyFile    = "sshchat-key"
)

// Passed returns the files that the program before this one has passed on by Exec, by their names. They are taken out of the
// environment.
func Passed() map[string]*os.File {
	value, set := os.LookupEnv(passedVariable)
	if !set {
		return nil
	}
	os.Unsetenv(passedVariable)
	var p passedFiles
	if json.Unmarshal([]byte(value), &p) != nil || p.PID != os.Getpid() {
		return nil
	}
	files := make(map[string]*os.File, len(p.Files))
	for name, fd := range p.Files {
		if fd > 2 && fd < 1<<20 {
			closeOnExec(fd)
			files[name] = os.NewFile(uintptr(fd), name)
		}
	}
	return files
}

// passing is the variable for a program that is executed in this process, and has these files.
func passing(files map[string]int) string {
	value, err := json.Marshal(passedFiles{os.Getpid(), files})
	if err != nil {
		panic("internal error: encode open files: " + err.Error()) // names and numbers only
	}
	return passedVariable + "=" + string(value)
}
