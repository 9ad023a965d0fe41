package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// size is a flag of bytes, as 32MiB; 0 is none.
type size int64

var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

func (s *size) Set(word string) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(word, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size, as 512KiB, 32MiB or 1GiB", word)
}

func (*size) Type() string { return "size" }

func (s *size) String() string {
	for _, u := range units {
		if n := int64(*s); n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.name)
		}
	}
	return "0"
}

// keep is how long archives of the history are kept: a time, as 365d or 48h, a size, or both as 365d,1GiB.
type keep struct {
	age   time.Duration
	bytes size
}

func (k *keep) Set(words string) error {
	var set keep
	for word := range strings.SplitSeq(words, ",") {
		if words == "" || words == "all" {
			break
		}
		age, err := parseAge(word)
		switch {
		case err == nil && age > 0 && set.age == 0:
			set.age = age
		case err != nil && set.bytes == 0 && set.bytes.Set(word) == nil && set.bytes > 0:
		default:
			return fmt.Errorf("%q is not a time, as 365d or 48h, a size, as 1GiB, both, as 365d,1GiB, or all", word)
		}
	}
	*k = set
	return nil
}

// days is a flag of a time that may be given in days.
type days time.Duration

func (d *days) Set(word string) error {
	age, err := parseAge(word)
	if err != nil || age < 0 {
		return fmt.Errorf("%q is not a time, as 90d or 48h, or 0", word)
	}
	*d = days(age)
	return nil
}

func (*days) Type() string { return "time" }

func (d *days) String() string {
	if age := time.Duration(*d); age%(24*time.Hour) != 0 || age == 0 {
		return age.String()
	}
	return strconv.Itoa(int(time.Duration(*d)/(24*time.Hour))) + "d"
}

// parseAge is time.ParseDuration with days.
func parseAge(word string) (time.Duration, error) {
	if digits, ok := strings.CutSuffix(word, "d"); ok {
		days, err := strconv.ParseUint(digits, 10, 16)
		return time.Duration(days) * 24 * time.Hour, err
	}
	return time.ParseDuration(word)
}

func (*keep) Type() string { return "keep" }

func (k *keep) String() string {
	var words []string
	if k.age > 0 {
		words = append(words, k.age.String())
	}
	if k.bytes > 0 {
		words = append(words, k.bytes.String())
	}
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, ",")
}
