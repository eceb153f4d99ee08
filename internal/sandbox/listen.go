package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// ListenAndServe serves on addr, such as "127.0.0.1:8234", until ctx is done,
// and then gives nil. Requests in flight then are broken off. Since anyone who
// reaches the server can do what they like with it, only loopback addresses are
// taken unless Config.AllowRemote says otherwise.
func (s *Server) ListenAndServe(ctx context.Context, addr string) error {
	if err := s.checkAddress(ctx, addr); err != nil {
		return err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for the sandbox: %w", err)
	}
	return s.Serve(ctx, l)
}

// Serve is ListenAndServe on a listener, which it closes.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		// Requests that sleep or hang end with ctx.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) || ctx.Err() == nil {
		return fmt.Errorf("serve the sandbox: %w", err)
	}
	return nil
}

func (s *Server) checkAddress(ctx context.Context, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("sandbox address %q: %w", addr, err)
	}
	if s.config.AllowRemote {
		return nil
	}
	if host == "" {
		return fmt.Errorf("sandbox address %q: only a loopback address such as 127.0.0.1 is taken, since the sandbox lets anyone in", addr)
	}
	ips, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("sandbox address %q: %w", addr, err)
	}
	for _, ip := range ips {
		if !ip.IP.IsLoopback() {
			return fmt.Errorf("sandbox address %q: only a loopback address such as 127.0.0.1 is taken, since the sandbox lets anyone in", addr)
		}
	}
	return nil
}
