package notify

import (
	"errors"
	"net/netip"
	"syscall"
)

// notPublic are addresses that webhooks are not sent to unless an administrator allows it:
// those in IANA's registries of special-purpose addresses that are not globally reachable,
// multicast, and ranges that embed any IPv4 address. https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry.
var notPublic = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private use
	"100.64.0.0/10",   // shared, used inside clouds
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link local: metadata of clouds
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

// unicast6 contains all global unicast addresses of IPv6. All others are special: loopback, NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard,
// segment routing, unique local, link local, site local, multicast.
var unicast6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, p := range all {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

// public reports whether an address is public.
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

var errPrivate = errors.New("the address is not public; an administrator can allow it with NOTIFY_ALLOWED")

var errUnresolved = errors.New("the name can't be resolved here, so its address is not known; an administrator can allow it with NOTIFY_ALLOWED")

// onlyPublic prevents contributors from making the worker call addresses in its own network.
// It is called for each address that is dialled, so that a name can't resolve to another
// address than the one that was checked.
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
