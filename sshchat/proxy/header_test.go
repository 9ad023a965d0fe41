package proxy

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pires/go-proxyproto"
)

// header is one as another implementation writes it.
func header(t testing.TB, client, server string, tlvs ...proxyproto.TLV) []byte {
	t.Helper()
	at := func(a string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a)) }
	h := proxyproto.HeaderProxyFromAddrs(2, at(client), at(server))
	if err := h.SetTLVs(tlvs); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	v4 = "\xc6\x33\x64\x07" + "\x7f\x00\x00\x01" + "\x30\x39" + "\x08\xae"
	v6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39" + "\x08\xae"
	// mapped is an IPv4 address in IPv6 form, as a balancer sends it whose two sides differ.
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x07" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01" + "\x30\x39" + "\x08\xae"
)

func TestHeaders(t *testing.T) {
	const ssh = "SSH-2.0-client\r\n"
	long := []proxyproto.TLV{{Type: 0xe0, Value: make([]byte, MaxSize-fixedSize-12-3)}}
	tooLong := []proxyproto.TLV{{Type: 0xe0, Value: make([]byte, MaxSize-fixedSize-12-2)}}
	ipv4 := Header{Client: netip.MustParseAddrPort("198.51.100.7:12345"), Server: netip.MustParseAddrPort("127.0.0.1:2222")}
	ipv6 := Header{Client: netip.MustParseAddrPort("[2001:db8::7]:12345"), Server: netip.MustParseAddrPort("[::1]:2222")}
	for _, c := range []struct {
		name, in string
		want     Header
		err      error
	}{
		{"IPv4", Signature + "\x21\x11\x00\x0c" + v4, ipv4, nil},
		{"IPv4, of another implementation", string(header(t, "198.51.100.7:12345", "127.0.0.1:2222")), ipv4, nil},
		{"IPv6", Signature + "\x21\x21\x00\x24" + v6, ipv6, nil},
		{"IPv6, of another implementation", string(header(t, "[2001:db8::7]:12345", "[::1]:2222")), ipv6, nil},
		{"IPv4 in IPv6 form", Signature + "\x21\x21\x00\x24" + mapped, ipv4, nil},
		{"with more than addresses", string(header(t, "198.51.100.7:12345", "127.0.0.1:2222", proxyproto.TLV{Type: 0x05, Value: []byte("id")})), ipv4, nil},
		{"as long as may be", string(header(t, "198.51.100.7:12345", "127.0.0.1:2222", long...)), ipv4, nil},
		{"LOCAL", Signature + "\x20\x00\x00\x00", Header{Local: true}, nil},
		{"LOCAL, with addresses", Signature + "\x20\x11\x00\x0c" + v4, Header{Local: true}, nil},
		{"LOCAL, of any family", Signature + "\x20\xff\x00\x02xx", Header{Local: true}, nil},

		{"SSH", ssh, Header{}, ErrMissing},
		{"a short line of SSH", "SSH-2.0-x\r\n", Header{}, ErrMissing},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", Header{}, ErrMissing},
		{"almost a header", Signature[:11] + "\r", Header{}, ErrMissing},
		{"almost version 1", "PROXX", Header{}, ErrMissing},
		{"nothing", "", Header{}, io.EOF},
		{"version 1", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Header{}, ErrVersion1},
		{"version 1, unknown", "PROXY UNKNOWN\r\n", Header{}, ErrVersion1},
		{"version 3", Signature + "\x31\x11\x00\x0c" + v4, Header{}, ErrInvalid},
		{"another command", Signature + "\x22\x11\x00\x0c" + v4, Header{}, ErrInvalid},
		{"UNSPEC", Signature + "\x21\x00\x00\x00", Header{}, ErrInvalid},
		{"UDP", Signature + "\x21\x12\x00\x0c" + v4, Header{}, ErrInvalid},
		{"a Unix socket", Signature + "\x21\x31\x00\xd8" + strings.Repeat("x", 216), Header{}, ErrInvalid},
		{"addresses cut short", Signature + "\x21\x11\x00\x0b" + v4[:11], Header{}, ErrInvalid},
		{"IPv4 addresses as IPv6", Signature + "\x21\x21\x00\x0c" + v4, Header{}, ErrInvalid},
		{"too long", string(header(t, "198.51.100.7:12345", "127.0.0.1:2222", tooLong...)), Header{}, ErrInvalid},
		{"LOCAL, too long", Signature + "\x20\x00\xff\xff", Header{}, ErrInvalid},
		{"from nowhere", Signature + "\x21\x11\x00\x0c" + "\x00\x00\x00\x00" + v4[4:], Header{}, ErrInvalid},
		{"from nowhere, in IPv6 form", Signature + "\x21\x21\x00\x24" + mapped[:12] + "\x00\x00\x00\x00" + mapped[16:], Header{}, ErrInvalid},
		{"from a group", Signature + "\x21\x11\x00\x0c" + "\xe0\x00\x00\x01" + v4[4:], Header{}, ErrInvalid},
	} {
		for how, slow := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
		} {
			whole := strings.NewReader(c.in)
			h, err := Read(slow(whole))
			if h != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %+v, %v", c.name, how, h, err)
			}
		}
		if c.err != nil {
			continue
		}
		r := strings.NewReader(c.in + ssh)
		if _, err := Read(r); err != nil {
			t.Fatal(err)
		}
		if rest, _ := io.ReadAll(r); string(rest) != ssh {
			t.Errorf("%s: %q is left for SSH", c.name, rest)
		}
		for n := 1; n < len(c.in); n++ {
			if _, err := Read(strings.NewReader(c.in[:n])); !errors.Is(err, ErrInvalid) || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%s, %d bytes of it: %v", c.name, n, err)
			}
			cut := io.MultiReader(strings.NewReader(c.in[:n]), iotest.ErrReader(os.ErrDeadlineExceeded))
			if _, err := Read(cut); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%s, too slow after %d bytes: %v", c.name, n, err)
			}
		}
	}
	if len(header(t, "198.51.100.7:12345", "127.0.0.1:2222", long...)) != MaxSize {
		t.Error("the longest header is not the longest")
	}
}

// FuzzHeader checks that what we take another implementation takes as the same, that not a byte more is read, and that the
// answer does not depend on how the bytes come.
func FuzzHeader(f *testing.F) {
	f.Add(header(f, "198.51.100.7:12345", "127.0.0.1:2222"))
	f.Add(header(f, "[2001:db8::7]:12345", "[::1]:2222", proxyproto.TLV{Type: 4, Value: []byte("x")}))
	for _, s := range []string{
		Signature + "\x21\x21\x00\x24" + mapped, Signature + "\x20\x00\x00\x00", Signature + "\x21\x00\x00\x00", "SSH-2.0-x\r\n",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Signature + "\x21\x31\x00\xd8" + strings.Repeat("x", 216),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		h, err := Read(r)
		slow, slowly := Read(iotest.OneByteReader(bytes.NewReader(in)))
		if slow != h || (slowly == nil) != (err == nil) || err != nil && err.Error() != slowly.Error() {
			t.Fatalf("%s: %+v, %v; byte by byte %+v, %v", hex.EncodeToString(in), h, err, slow, slowly)
		}
		if err != nil {
			if h != (Header{}) {
				t.Fatalf("%+v with %v", h, err)
			}
			return
		}
		size := len(in) - r.Len()
		if size > MaxSize || !bytes.HasPrefix(in, []byte(Signature)) || size != fixedSize+int(in[14])<<8+int(in[15]) {
			t.Fatalf("%s: %d bytes", hex.EncodeToString(in), size)
		}
		if h.Local {
			return // whose family is ignored, which the other does not
		}
		theirs, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			t.Fatalf("%s: only we take it: %v", hex.EncodeToString(in), err)
		}
		for ours, other := range map[netip.AddrPort]net.Addr{h.Client: theirs.SourceAddr, h.Server: theirs.DestinationAddr} {
			a := other.(*net.TCPAddr).AddrPort()
			if a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()); a != ours || ours.Addr().Is4In6() {
				t.Fatalf("%s: %v, and to the other %v", hex.EncodeToString(in), ours, a)
			}
		}
	})
}
