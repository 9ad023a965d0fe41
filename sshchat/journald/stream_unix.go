//go:build unix

package journald

import (
	"fmt"
	"os"
	"syscall"
)

// identityOf is the device and inode of a file, as JOURNAL_STREAM has them; "" if they are not known.
func identityOf(f *os.File) string {
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
