// Package limit holds the limits for strangers and members: login attempts, penalties of sources, admission of
// connections, creation of accounts, and rates. It knows nothing of SSH and reads only the clock it is given, except when
// it waits.
package limit

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Source is where connections come from, as far as they are counted together: an IPv4 address, or the /64 of an IPv6
// address, which is what one customer has at the least. The zero source is that of what has no address.
type Source netip.Prefix

// Unix is where all connections through Unix sockets come from: one source, as a proxy is, whoever connects through it. It is
// written as the address 0.0.0.0, from which no connection comes, so that no ban or network of addresses concerns it.
var Unix = Source(netip.PrefixFrom(netip.IPv4Unspecified(), 32))

// isUnix reports whether an address is that of a Unix socket. What its client calls it does not matter: a client may bind its
// end to any name, also one that reads as an IP address.
func isUnix(addr net.Addr) bool { return strings.HasPrefix(addr.Network(), "unix") }

// Includes reports whether a list of addresses and networks has the address; an invalid one is that of Unix.
func Includes(list []netip.Prefix, addr netip.Addr) bool {
	if !addr.IsValid() {
		return slices.Contains(list, netip.Prefix(Unix))
	}
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// AddrOf is the address without its port, in IPv4 form if it has one; invalid if it is not an IP address.
func AddrOf(addr net.Addr) netip.Addr {
	if isUnix(addr) {
		return netip.Addr{}
	}
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// SourceOf returns the source of an address.
func SourceOf(addr net.Addr) Source {
	if isUnix(addr) {
		return Unix
	}
	return SourceOfAddr(AddrOf(addr))
}

// SourceOfAddr returns the source of an IP address, which is not an IPv4 address in the form of an IPv6 one.
func SourceOfAddr(ip netip.Addr) Source {
	if !ip.IsValid() {
		return Source{}
	}
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return Source{}
	}
	return Source(p)
}

// String is the address, or for IPv6 the network; "unix" for Unix.
func (s Source) String() string {
	if s == Unix {
		return "unix"
	}
	if p := netip.Prefix(s); p.IsSingleIP() {
		return p.Addr().String()
	}
	return netip.Prefix(s).String()
}
