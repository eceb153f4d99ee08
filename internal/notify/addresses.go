package notify

import (
	"errors"
	"net/netip"
	"syscall"
)

// notPublic are the addresses that no webhook goes to unless an administrator allows
// it. They are those of IANA's registries of special-purpose addresses that are not
// globally reachable, multicast, and the ranges that embed an IPv4 address, which can
// be any: https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry.
var notPublic = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private use
	"100.64.0.0/10",   // shared, in use inside of clouds
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link local: the metadata of clouds
	"172.16.0.0/12",   // private use
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // relays of 6to4
	"192.168.0.0/16",  // private use
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
	"2001::/23",       // protocol assignments: Teredo, benchmarks, ORCHID
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4: embeds an IPv4 address
	"3fff::/20",       // documentation
)

// unicast6 is all of IPv6 that is handed out as global unicast addresses. Whatever
// lies outside is special: loopback, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard,
// segment routing, unique local, link local, site local, multicast.
var unicast6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, p := range all {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// public reports whether an address is one of the internet's.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() && !unicast6.Contains(ip) {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsValid()
}

var errPrivate = errors.New("the address is not a public one; an administrator can allow it with NOTIFY_ALLOWED")

var errUnresolved = errors.New("its name can't be resolved here, so where it lies is not known; an administrator can allow it with NOTIFY_ALLOWED")

// onlyPublic keeps contributors from having the worker knock at doors inside of its
// own network. It is asked for each address that is dialled, so that no name can lead
// to another one than was checked.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(at.Addr()) {
		return errPrivate
	}
	return nil
}
