package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger forwards the server's log with the levels of Options.Logger.
type logger struct {
	slog  *slog.Logger
	fatal *fatal
}

var _ log.Logger = logger{}

func (l logger) write(level slog.Level, msg string, tags []tag.Tag) {
	if !l.slog.Enabled(context.Background(), level) {
		return
	}
	attrs := make([]slog.Attr, len(tags))
	for i, t := range tags {
		attrs[i] = slog.Any(t.Key(), t.Value())
	}
	l.slog.LogAttrs(context.Background(), level, msg, attrs...)
}

func (l logger) Debug(string, ...tag.Tag)           {}
func (l logger) Info(string, ...tag.Tag)            {}
func (l logger) Warn(msg string, tags ...tag.Tag)   { l.write(slog.LevelDebug, msg, tags) }
func (l logger) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelInfo, msg, tags) }
func (l logger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l logger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic("embedded Temporal: " + msg)
}

// Fatal must not return, because the server relies on that. While the server
// starts, Start returns the error instead.
func (l logger) Fatal(msg string, tags ...tag.Tag) {
	if l.fatal.started.Load() {
		l.Panic(msg, tags...)
	}
	l.fatal.set(msg, tags)
	runtime.Goexit()
}

// fatal records the error that prevents a server from starting.
type fatal struct {
	once     sync.Once
	happened chan struct{}
	err      error // valid once happened is closed
	started  atomic.Bool
}

func newFatal() *fatal { return &fatal{happened: make(chan struct{})} }

func (f *fatal) set(msg string, tags []tag.Tag) {
	f.once.Do(func() {
		f.err = fatalError(msg, tags)
		close(f.happened)
	})
}

// fatalError returns a fatal log entry as an error: a *PortError for a taken port.
func fatalError(msg string, tags []tag.Tag) error {
	var cause error
	addr := ""
	for _, t := range tags {
		z, ok := t.(tag.ZapTag)
		if !ok {
			continue
		}
		if err, ok := z.Field().Interface.(error); ok {
			cause = err
		}
		if z.Key() == tag.Address("").Key() {
			addr = z.Field().String
		}
	}
	switch {
	case errors.Is(cause, syscall.EADDRINUSE):
		return &PortError{What: "Temporal", Addr: addr, Err: syscall.EADDRINUSE, internal: true}
	case cause != nil:
		return fmt.Errorf("start Temporal: %s: %w", msg, cause)
	}
	return fmt.Errorf("start Temporal: %s", msg)
}

// run runs a part of the start in its own goroutine, which Fatal can end.
func (f *fatal) run(part func() error) error {
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		defer func() {
			// The server builds some things within sync.OnceValue, which turns the end
			// of its goroutine into a panic.
			if p := recover(); p != nil && !f.hasHappened() {
				panic(p)
			}
		}()
		err = part()
	}()
	<-done
	if f.hasHappened() {
		return f.err
	}
	return err
}

func (f *fatal) hasHappened() bool {
	select {
	case <-f.happened:
		return true
	default:
		return false
	}
}

// quiet is a logger for the SDK that discards everything.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
