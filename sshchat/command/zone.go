package command

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"time"

	"sshchat/sshchat/text"
)

// zonePattern leaves no way out of the folders where zones are.
var zonePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// ParseZone reads the IANA name of a time zone, which may come from anybody. The empty one is nil, for none.
// "Local" would be the server's, which is nobody's.
func ParseZone(name string) (*time.Location, error) {
	if name == "" {
		return nil, nil
	}
	if len(name) > maxZone || name == "Local" || !zonePattern.MatchString(name) {
		return nil, fmt.Errorf("%q is no time zone", text.Clean(name, maxZone))
	}
	return time.LoadLocation(name)
}

// maxZone is the longest name of a zone that is looked at, in bytes.
const maxZone = 64

// rulePattern is a zone by its rules, as POSIX has it: CET-1CEST,M3.5.0,M10.5.0/3.
var rulePattern = regexp.MustCompile(`^([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?[0-9:]+[A-Za-z0-9<>+:,./-]*$`)

// ClientZone reads the variable TZ of a client, which names a zone in one of the ways of POSIX and of C libraries: by its
// name, after a colon, by the path of its file, or by its rules. It is nil where none can be read.
func ClientZone(tz string) *time.Location {
	tz = strings.TrimPrefix(tz, ":")
	if _, file, ok := strings.Cut(tz, "/zoneinfo/"); ok && tz[0] == '/' {
		tz = file
	}
	for _, folder := range []string{"posix/", "right/"} {
		tz = strings.TrimPrefix(tz, folder)
	}
	if zone, err := ParseZone(tz); err == nil {
		return zone
	}
	if len(tz) > maxZone || !rulePattern.MatchString(tz) {
		return nil
	}
	return ruledZone(tz)
}

// ruledZone makes a zone of rules: package time reads them at the end of a zone's file (RFC 8536). It is nil where they
// make none.
func ruledZone(rules string) *time.Location {
	header := func(version byte, transitions uint32) []byte {
		b := append([]byte("TZif"), version)
		b = append(b, make([]byte, 15)...)
		for _, n := range []uint32{0, 0, 0, transitions, 1, 4} { // UT, standard, leap, transitions, types, letters
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	const before = -1 << 40 // the rules count from here on
	local := []byte{0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0}
	data := append(header('2', 0), local...)
	data = append(data, header('2', 1)...)
	data = binary.BigEndian.AppendUint64(data, uint64(before&(1<<64-1)))
	data = append(append(append(data, 0), local...), "\n"+rules+"\n"...)
	zone, err := time.LoadLocationFromTZData(rules, data)
	if err != nil {
		return nil
	}
	if name, _ := time.Unix(0, 0).In(zone).Zone(); name == "UTC" && !strings.HasPrefix(rules, "UTC") {
		return nil // they could not be read
	}
	return zone
}
