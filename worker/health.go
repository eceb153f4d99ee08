package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
)

// healthTimeout bounds a health check.
const healthTimeout = 5 * time.Second

// health serves /healthz with 200 while the process is alive, /readyz with 200 while the
// worker serves its task queues and reaches Temporal and with 503 otherwise, and /metrics.
type health struct {
	worker atomic.Pointer[running]
	server *http.Server
	done   chan struct{}
}

// running is a worker that runs.
type running struct {
	temporal client.Client
	failed   func() error // why it does not serve a task queue any more
}

// serveHealth starts the health server, unless addr is empty.
func serveHealth(addr string, metrics http.Handler) (*health, error) {
	h := &health{}
	if addr == "" {
		return h, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on HEALTH_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", metrics)
	h.server, h.done = &http.Server{Handler: mux, ReadHeaderTimeout: healthTimeout}, make(chan struct{})
	go func() {
		defer close(h.done)
		_ = h.server.Serve(l)
	}()
	return h, nil
}

// ready marks the worker as running, or as stopped with nil.
func (h *health) ready(worker *running) { h.worker.Store(worker) }

func (h *health) readyz(w http.ResponseWriter, r *http.Request) {
	worker := h.worker.Load()
	if worker == nil {
		http.Error(w, "the worker is starting or stopping", http.StatusServiceUnavailable)
		return
	}
	if worker.failed() != nil {
		http.Error(w, "a task queue is not served any more; the log says why", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if _, err := worker.temporal.CheckHealth(ctx, nil); err != nil {
		http.Error(w, "Temporal does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (h *health) stop() {
	if h.server != nil {
		_ = h.server.Close()
		<-h.done
	}
}

// healthcheck checks whether the worker on this machine is ready, and returns the exit
// status. It is for containers' health checks, which have no shell.
func healthcheck() int {
	addr := os.Getenv("HEALTH_ADDR")
	if addr == "" {
		fmt.Fprintln(os.Stderr, "worker: HEALTH_ADDR is not set, so the worker has no health check")
		return 1
	}
	c := http.Client{Timeout: healthTimeout + time.Second}
	answer, err := c.Get("http://" + addr + "/readyz")
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
