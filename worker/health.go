package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"go.temporal.io/sdk/client"
)

// healthTimeout bounds one check of the worker's health.
const healthTimeout = 5 * time.Second

// serveHealth answers GET /healthz with 200 while the worker reaches Temporal,
// and with 503 while it does not. It returns the function that ends it.
func serveHealth(addr string, temporal client.Client) (stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on HEALTH_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		if _, err := temporal.CheckHealth(ctx, nil); err != nil {
			http.Error(w, "Temporal does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: healthTimeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	return func() { _ = server.Close(); <-done }, nil
}

// healthcheck asks the worker on this machine how it is, and gives the exit
// status: what a container's health check runs, where there is no shell.
func healthcheck() int {
	addr := os.Getenv("HEALTH_ADDR")
	if addr == "" {
		fmt.Fprintln(os.Stderr, "worker: HEALTH_ADDR is not set, so the worker answers no health checks")
		return 1
	}
	c := http.Client{Timeout: healthTimeout + time.Second}
	answer, err := c.Get("http://" + addr + "/healthz")
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "worker:", answer.Status)
		return 1
	}
	return 0
}
