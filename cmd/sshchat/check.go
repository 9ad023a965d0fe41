package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/agesplit"

	"github.com/spf13/pflag"
)

// badSetting refuses a setting, by its name as it was given. Nothing has been made when it is returned.
type badSetting struct{ words string }

func (e *badSetting) Error() string { return e.words }

// bad refuses the setting of a flag, which is named as people set it.
func (s *settings) bad(flag, format string, args ...any) error {
	name := "--" + flag
	if s.twins[flag] {
		name = twin(flag)
	}
	return &badSetting{name + ": " + fmt.Sprintf(format, args...)}
}

// bounds are those of a number.
type bounds struct{ min, max float64 }

func (b bounds) String() string {
	if math.IsInf(b.max, 1) {
		return fmt.Sprintf("%g or more", b.min)
	}
	return fmt.Sprintf("%g to %g", b.min, b.max)
}

var (
	fromZero = bounds{0, math.Inf(1)}
	fromOne  = bounds{1, math.Inf(1)} // a count that is 0 would let nobody do it
)

// limited are the numbers with other bounds than fromOne; of times and rates those that may be zero.
var limited = map[string]bounds{
	"window": fromZero, "min-password": {accounts.LowestMinPassword, 256}, "work-factor": {1, agesplit.MaxWorkFactor},
	"starting-reserved": fromZero, "starting-drop-from": fromZero, "starting-drop-rate": {0, 1},
	"registrations": fromZero, "registrations-source": fromZero, "new-accounts": fromZero, "new-accounts-source": fromZero,
	"failure-time": fromZero,
}

// check refuses a setting that cannot be, before anything is made of any of them.
func (s *settings) check(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if failed == nil {
			failed = s.checkNumber(f)
		}
	})
	for _, check := range []func() error{s.checkWords, s.checkAddresses, s.checkAdmins} {
		if failed == nil {
			failed = check()
		}
	}
	return failed
}

// checkNumber looks at the flags that are numbers, whichever there are: a new one has bounds, too.
func (s *settings) checkNumber(f *pflag.Flag) error {
	within, special := limited[f.Name]
	var n float64
	switch f.Value.Type() {
	case "int":
		i, err := strconv.Atoi(f.Value.String())
		if err != nil {
			return s.bad(f.Name, "%v", err)
		}
		n = float64(i)
		if !special {
			within = fromOne
		}
	case "float64", "duration":
		var err error
		if n, err = strconv.ParseFloat(f.Value.String(), 64); err != nil {
			d, err := time.ParseDuration(f.Value.String())
			if err != nil {
				return s.bad(f.Name, "%v", err)
			}
			n = d.Seconds()
		}
		if !special && !(n > 0) || math.IsNaN(n) || math.IsInf(n, 0) {
			return s.bad(f.Name, "it is %s, and must be more than 0", f.Value)
		}
		if !special {
			return nil
		}
	default:
		return nil
	}
	if n < within.min || n > within.max {
		return s.bad(f.Name, "it is %s, and must be %s", f.Value, within)
	}
	return nil
}

func (s *settings) checkWords() error {
	switch s.registration {
	case "open", "invite", "closed":
	default:
		return s.bad("registration", "it is %q, and must be open, invite or closed", s.registration)
	}
	if s.logFormat != "text" && s.logFormat != "json" {
		return s.bad("log-format", "it is %q, and must be text or json", s.logFormat)
	}
	if s.data == "" {
		return s.bad("data", "it is empty, and must be a folder")
	}
	const most = 64 // bytes, of what is part of lines that people read
	if name, err := text.ParseLine(s.name, most); err != nil {
		return s.bad("name", "%v", err)
	} else if name.String() != s.name {
		return s.bad("name", "it is %q, and must be a line of printable text", s.name)
	}
	if address, err := text.ParseLine(s.address, 4*most); s.address != "" && (err != nil || address.String() != s.address) {
		return s.bad("address", "it is %q, and must be a line of printable text of at most %d bytes", s.address, 4*most)
	}
	if l := s.limits; l.Reserved >= l.Starting {
		return s.bad("starting-reserved", "it is %d, and must be less than --starting, which is %d", l.Reserved, l.Starting)
	}
	return nil
}

// checkAddresses looks at the form of addresses: whether they can be had is found out by listening.
func (s *settings) checkAddresses() error {
	type setting struct{ flag, address string }
	var addresses []setting
	for _, a := range s.listen {
		addresses = append(addresses, setting{"listen", a})
	}
	if s.metrics != "" {
		addresses = append(addresses, setting{"metrics", s.metrics})
	}
	for _, a := range addresses {
		_, port, err := net.SplitHostPort(a.address)
		if err != nil {
			return s.bad(a.flag, "it is %q, and must be an address and a port, as 127.0.0.1:2222 or [::1]:2222", a.address)
		}
		if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
			return s.bad(a.flag, "it is %q, and %q is no port", a.address, port)
		}
	}
	if s.metrics != "" {
		if err := checkLoopback(s.metrics); err != nil {
			return s.bad("metrics", "%v", err)
		}
	}
	return nil
}

// checkAdmins looks at the key files as well while there are no accounts: later the file of an admin who exists is not
// needed any more.
func (s *settings) checkAdmins() error {
	_, err := os.Stat(filepath.Join(s.data, "users.json"))
	first := errors.Is(err, fs.ErrNotExist)
	for _, value := range s.admins {
		word, file, ok := strings.Cut(value, "=")
		if !ok {
			return s.bad("admin", "it is %q, and must be NAME=KEYFILE", value)
		}
		if _, err := text.ParseName(word); err != nil {
			return s.bad("admin", "%s: %v", value, err)
		}
		if _, err := readKeys(file); first && err != nil {
			return s.bad("admin", "%s: %v", value, err)
		}
	}
	return nil
}
