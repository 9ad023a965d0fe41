package doctor

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// This file reads Linux's /proc (proc(5)). Elsewhere, and where it may not be read, nothing is known.

// openFilesOf is how many files a process may have open.
func openFilesOf(pid int) (most uint64, known bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if pid <= 0 || err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, found := strings.CutPrefix(line, "Max open files"); found {
			if f := strings.Fields(rest); len(f) > 1 {
				most, err := strconv.ParseUint(f[0], 10, 64)
				return most, err == nil
			}
		}
	}
	return 0, false
}

// holderOf is the process that listens on an address, and its name; 0 if that is not known.
func holderOf(address string) (pid int, name string) {
	inodes := listeners(address)
	if len(inodes) == 0 {
		return 0, ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is valid
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil || !inodes[to] {
			continue
		}
		process := filepath.Dir(filepath.Dir(fd))
		if pid, err = strconv.Atoi(filepath.Base(process)); err != nil {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join(process, "comm")) // it may have ended
		return pid, strings.TrimSpace(string(comm))
	}
	return 0, ""
}

// listeners are the sockets that listen on the address's port, there or on all addresses, as links to them are.
func listeners(address string) map[string]bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil { // a host's name, or none: by the port alone
		_, port, _ := strings.Cut(address[strings.LastIndexByte(address, ':'):], ":")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil
		}
		at = netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n))
	}
	found := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			const listening = "0A"
			f := strings.Fields(lines.Text())
			if len(f) < 10 || f[3] != listening {
				continue
			}
			ip, port, ok := procAddr(f[1])
			if ok && port == at.Port() && (ip == at.Addr().Unmap() || ip.IsUnspecified() || at.Addr().IsUnspecified()) {
				found["socket:["+f[9]+"]"] = true
			}
		}
	}
	return found
}

// procAddr reads "0100007F:08AE": 32-bit words in the machine's order, which is little-endian wherever this runs.
func procAddr(word string) (ip netip.Addr, port uint16, ok bool) {
	address, digits, _ := strings.Cut(word, ":")
	b, err := hex.DecodeString(address)
	if err != nil || len(b)%4 != 0 {
		return ip, 0, false
	}
	for i := 0; i < len(b); i += 4 {
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	ip, ok = netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(digits, 16, 16)
	return ip.Unmap(), uint16(n), ok && err == nil
}
