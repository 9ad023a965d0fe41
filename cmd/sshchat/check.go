package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"sshchat/sshchat/listen"
	"sshchat/sshchat/text"
)

// badSetting refuses a setting, by its name as it was given. Nothing has been made when it is returned.
type badSetting struct{ words string }

func (e *badSetting) Error() string { return e.words }

// bad refuses the value of a setting, which is named as people set it.
func (s *settings) bad(name, format string, args ...any) error {
	return &badSetting{s.origins[name].String(name) + ": " + fmt.Sprintf(format, args...)}
}

// check refuses what single values cannot tell, before anything is made of any of them.
func (s *settings) check() error {
	if len(s.listen) == 0 {
		return s.bad("listen", "it is empty, and must be an address and a port, as :2222")
	}
	if l := &s.limits; !s.origins["max-startups-reserved"].set() {
		l.Reserved = min(l.Reserved, l.Starting/5)
	} else if l.Reserved >= l.Starting {
		return s.bad("max-startups-reserved", "it is %d, and must be less than the last number of max-startups, which is %d", l.Reserved, l.Starting)
	}
	s.checkProxies()
	if s.metrics != "" {
		if err := checkReaders(s.metrics, s.metricsAllow); err != nil {
			return s.bad("metrics", "%v", err)
		}
	}
	s.warnings = append(s.warnings, s.cluster.warnings()...)
	return s.checkKeyFiles()
}

// checkProxies warns about networks in proxy-from that are too large for load balancers alone: anyone in them can choose the
// address that limits, bans and logs see.
func (s *settings) checkProxies() {
	for i, p := range s.limits.ProxyFrom {
		ip, least := p.Addr(), 8
		if ip.Is6() {
			least = 7
		}
		if own := ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast(); !own {
			least *= 2
		}
		if p.Bits() < least {
			s.warnings = append(s.warnings, fmt.Sprintf("%s: everybody in %s can choose the address that limits, bans and logs see; name only your load balancers",
				s.origins["proxy-from"].String("proxy-from"), (*prefixes)(&s.limits.ProxyFrom).words()[i]))
		}
	}
}

func checkMetrics(word string) error {
	if word == "" {
		return nil
	}
	if strings.HasPrefix(word, "unix:") {
		return is(fmt.Sprintf("%q", text.Clean(word, 80)), "an address and a port, such as 127.0.0.1:9222")
	}
	return listen.Check(word)
}

func checkFileName(word string) error {
	if strings.ContainsFunc(word, unicode.IsControl) || word == "." || word == ".." {
		return notA(word, "a file")
	}
	return nil
}

func checkAdmin(word string) error {
	name, _, ok := strings.Cut(word, "=")
	if !ok {
		return is(fmt.Sprintf("%q", text.Clean(word, 80)), "NAME=KEYFILE")
	}
	if _, err := text.ParseName(name); err != nil {
		return fmt.Errorf("%s: %w", word, err)
	}
	return nil
}

// checkKeyFiles reads the key files of admins as long as there are no accounts: later the file of an admin who exists is not
// needed any more.
func (s *settings) checkKeyFiles() error {
	_, err := os.Stat(filepath.Join(s.data, "users.json"))
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, value := range s.admins {
		_, file, _ := strings.Cut(value, "=")
		if _, err := readKeys(file); err != nil {
			return s.bad("admin", "%s: %v", value, err)
		}
	}
	return nil
}
