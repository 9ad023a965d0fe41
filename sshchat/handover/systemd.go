package handover

import (
	"errors"
	"os"

	"sshchat/sshchat/systemd"
)

// Give has the service manager keep what is handed over. It returns when that has it: it takes nothing from a process that has ended.
func Give(s *Sealed) error {
	// A pipe whose other end is closed looks to it like one that is of no use any more: FDPOLL=0 has it not look.
	return errors.Join(
		systemd.SendFile("FDSTORE=1\nFDPOLL=0\nFDNAME="+MemoryFile, s.Memory),
		systemd.SendFile("FDSTORE=1\nFDPOLL=0\nFDNAME="+KeyFile, s.Key),
		systemd.Barrier())
}

// Forget has the service manager close what it has kept. It keeps it until then, so that another start can have it if this one
// fails.
func Forget() error {
	return errors.Join(systemd.Notify("FDSTOREREMOVE=1\nFDNAME="+MemoryFile), systemd.Notify("FDSTOREREMOVE=1\nFDNAME="+KeyFile))
}

// Given returns what the service manager has kept among the files that it passed, and the other files; nil: nothing.
func Given(files []*os.File) (kept *Sealed, others []*os.File) {
	ours := make(map[string]*os.File)
	for _, file := range files {
		switch name := file.Name(); {
		case name != MemoryFile && name != KeyFile:
			others = append(others, file)
		case ours[name] != nil: // it was kept twice; the newest counts
			ours[name].Close()
			fallthrough
		default:
			ours[name] = file
		}
	}
	return SealedOf(ours), others
}

// SealedOf returns what is handed over among the files, and takes it out; nil: nothing.
func SealedOf(files map[string]*os.File) *Sealed {
	s := &Sealed{files[MemoryFile], files[KeyFile]}
	delete(files, MemoryFile)
	delete(files, KeyFile)
	if s.Memory == nil || s.Key == nil {
		s.Close()
		return nil
	}
	return s
}
