package devstack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// PortError means that an address to listen on is in use or invalid.
type PortError struct {
	// What is the name of the listener in messages.
	What string
	// Addr is the requested address, host and port.
	Addr string
	Err  error

	// internal is set for a port that Start has chosen, so another one may work.
	internal bool
}

func (e *PortError) Error() string {
	return fmt.Sprintf("%s can't listen on %s: %v", e.What, e.Addr, e.Err)
}

func (e *PortError) Unwrap() error { return e.Err }

// resolve checks that an address can be listened on, and returns it with a port. Another process
// can still take the port before the server listens; the server's own error shows that.
func resolve(addr, what string) (string, error) {
	refuse := func(err error) (string, error) { return "", &PortError{What: what, Addr: addr, Err: err} }
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return refuse(err)
	}
	ip := net.ParseIP(host)
	if host == "localhost" {
		ip = net.IPv4(127, 0, 0, 1)
	}
	if ip == nil || !ip.IsLoopback() {
		return refuse(errors.New("only addresses of this machine are allowed, such as 127.0.0.1"))
	}
	if port == "0" {
		free, err := freePort(ip)
		if err != nil {
			return refuse(err)
		}
		return net.JoinHostPort(ip.String(), strconv.Itoa(free)), nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), port))
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // the message has the address already
		}
		return refuse(err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Internal ports are below those that Linux (from 32768), macOS and Windows (from 49152) assign
// to outgoing connections, which could use such a port before the server does.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

// freePort returns a random free port, so that stacks that start at the same time rarely choose
// the same one.
func freePort(ip net.IP) (int, error) {
	var last error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("find a free port between %d and %d: %w", firstPort, lastPort, last)
}
