// Package devstack runs Temporal and its UI in this process, for development and tests. The
// server uses SQLite, in memory or in a file. It listens only on this machine.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/server/temporal"

	"iterable-segment-export/schemas"
)

// Options are the settings of Start.
type Options struct {
	// DataDir is the folder of the SQLite file with the server's state. If it is empty, the
	// state is in memory.
	DataDir string
	// FrontendAddr is Temporal's address, host and port of this machine; default
	// 127.0.0.1:7233. Port 0 selects a free one.
	FrontendAddr string
	// UIAddr is the UI's address, host and port; if it is empty, there is no UI. UIReadOnly
	// disables its write actions.
	UIAddr     string
	UIReadOnly bool
	// Namespace is created if it does not exist; default "default".
	Namespace string
	// Retention is how long finished workflows are kept; default 7 days. A
	// namespace in DataDir keeps the one that it was created with.
	Retention time.Duration
	// Logger gets the server's log: warnings at debug level and errors at info level, since
	// many are normal at its start and end, and fatal errors at error level. The default
	// discards it.
	Logger *slog.Logger
	// SearchAttributes are registered, also in an existing namespace; default
	// schemas.SearchAttributes.
	SearchAttributes map[string]enums.IndexedValueType
}

// Stack is a running server, with its UI.
type Stack struct {
	server   temporal.Server
	fatal    *fatal
	lock     *os.File
	frontend string
	ui       *uiServer
	stop     func() error
}

const (
	// readyWithin is the time limit for the server's first answer; it usually needs
	// a tenth of a second.
	readyWithin = 60 * time.Second
	// stopWithin is the time limit of Stop; it usually needs a second, the frontend's grace
	// period.
	stopWithin = 30 * time.Second
	// defaultRetention is how long finished workflows are kept.
	defaultRetention = 7 * 24 * time.Hour
	// attempts is the number of tries of Start with other internal ports, if another process
	// uses one before the server does.
	attempts = 3
)

// Start starts the server and, if UIAddr is set, the UI. It returns when the namespace and its
// search attributes can be used. The error is a *PortError if a port is in use, and a
// *LockedError if another process uses DataDir.
func Start(ctx context.Context, o Options) (*Stack, error) {
	o.setDefaults()
	var lock *os.File
	var err error
	if o.DataDir != "" {
		if lock, err = lockDir(o.DataDir); err != nil {
			return nil, err
		}
	}
	for range attempts {
		var s *Stack
		if s, err = startOnce(ctx, o, lock); err == nil {
			return s, nil
		}
		var port *PortError
		if !errors.As(err, &port) || !port.internal {
			break
		}
	}
	unlock(lock)
	return nil, err
}

func (o *Options) setDefaults() {
	if o.FrontendAddr == "" {
		o.FrontendAddr = "127.0.0.1:7233"
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Retention == 0 {
		o.Retention = defaultRetention
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SearchAttributes == nil {
		o.SearchAttributes = schemas.SearchAttributes
	}
}

// startOnce starts a stack with one choice of internal ports.
func startOnce(ctx context.Context, o Options, lock *os.File) (*Stack, error) {
	frontend, err := resolve(o.FrontendAddr, "Temporal")
	if err != nil {
		return nil, err
	}
	uiAddr := ""
	if o.UIAddr != "" {
		if uiAddr, err = resolve(o.UIAddr, "Temporal's UI"); err != nil {
			return nil, err
		}
	}
	s := &Stack{frontend: frontend, fatal: newFatal(), lock: lock}
	s.stop = sync.OnceValue(s.stopAll)
	if err := s.fatal.run(func() (err error) { s.server, err = startServer(o, frontend, s.fatal); return err }); err != nil {
		return nil, err
	}
	if err := s.ready(ctx, o); err != nil {
		return nil, errors.Join(err, s.stopServer())
	}
	if uiAddr != "" {
		if s.ui, err = startUI(uiAddr, frontend, o); err != nil {
			return nil, errors.Join(err, s.stopServer())
		}
	}
	s.fatal.started.Store(true)
	return s, nil
}

// FrontendAddr returns Temporal's address, host and port.
func (s *Stack) FrontendAddr() string { return s.frontend }

// UIURL returns the UI's URL without a trailing slash, or "" without a UI.
func (s *Stack) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return "http://" + s.ui.addr
}

// UIAddr returns the UI's address, host and port, or "" without a UI.
func (s *Stack) UIAddr() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.addr
}

// Stop stops the UI and the server. Stop workers and close clients first. It may
// be called more than once.
func (s *Stack) Stop() error { return s.stop() }

func (s *Stack) stopAll() error {
	defer unlock(s.lock)
	if s.ui != nil {
		s.ui.stop()
	}
	return s.stopServer()
}

// stopServer stops the parts of the server that run.
func (s *Stack) stopServer() error {
	done := make(chan error, 1)
	go func() { done <- s.server.Stop() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("stop Temporal: %w", err)
		}
		return nil
	case <-time.After(stopWithin):
		return fmt.Errorf("the embedded Temporal did not stop within %s", stopWithin)
	}
}
