package sshchat

import (
	"net"
	"net/netip"
)

// source is where connections come from, as far as they are counted together: an IPv4 address, or the /64 of an IPv6
// address, which is what one customer has at the least. The zero source is that of what has no address.
type source netip.Prefix

// addrOf is the address without its port, as IPv4 where it is one; not valid where it is no IP address.
func addrOf(addr net.Addr) netip.Addr {
	a, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// sourceOf returns the source of an address.
func sourceOf(addr net.Addr) source {
	ip := addrOf(addr)
	if !ip.IsValid() {
		return source{}
	}
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return source{}
	}
	return source(p)
}

func (s source) String() string { return netip.Prefix(s).String() }
