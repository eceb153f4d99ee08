package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// sharing is a listener that allows each address at most most connections at a time.
type sharing struct {
	net.Listener
	most int

	mu   sync.Mutex
	open map[string]int
}

// shared is a connection of a sharing.
type shared struct {
	net.Conn
	closed func()
}

func (c *shared) Close() error {
	c.closed()
	return c.Conn.Close()
}

func (s *sharing) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := c.RemoteAddr().String()
		if at, err := netip.ParseAddrPort(from); err == nil {
			from = at.Addr().Unmap().WithZone("").String()
			if at.Addr().Is6() && !at.Addr().Is4In6() { // one machine has a whole network of these
				network, _ := at.Addr().WithZone("").Prefix(64)
				from = network.String()
			}
		}
		if s.count(from, 1) {
			return &shared{c, sync.OnceFunc(func() { s.count(from, -1) })}, nil
		}
		_ = c.Close()
	}
}

// count adds to the connections of an address, unless that exceeds the limit.
func (s *sharing) count(from string, more int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.open[from] + more
	if n > s.most {
		return false
	}
	if s.open[from] = n; n == 0 {
		delete(s.open, from)
	}
	return true
}

// Serve serves h at addr until stop is called. With a certificate and key it uses TLS;
// the files are read for each connection, so they can be replaced.
func Serve(addr, certificate, key string, h http.Handler, log *slog.Logger) (at string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("API_ADDR: %w", err)
	}
	at = l.Addr().String()
	l = netutil.LimitListener(&sharing{Listener: l, most: mostOfOne, open: map[string]int{}}, maxConnections)
	if certificate != "" {
		load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(certificate, key)
			return &c, err
		}
		if _, err := load(nil); err != nil {
			_ = l.Close()
			return "", nil, fmt.Errorf("API_TLS_CERT, API_TLS_KEY: %w", err)
		}
		l = tls.NewListener(l, &tls.Config{GetCertificate: load, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: idleTime,
		MaxHeaderBytes: 128 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("gateway stopped", "error", err)
		}
	}()
	return at, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		_ = s.Close()
		<-ended
	}, nil
}
