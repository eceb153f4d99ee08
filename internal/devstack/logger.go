package devstack

import (
	"context"
	"log/slog"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger passes the server's warnings and errors on.
type logger struct{ slog *slog.Logger }

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

func (l logger) Debug(string, ...tag.Tag) {}
func (l logger) Info(string, ...tag.Tag)  {}

// Warn writes at debug level: the server warns of much that is normal for it,
// such as a service that starts after another one.
func (l logger) Warn(msg string, tags ...tag.Tag)   { l.write(slog.LevelDebug, msg, tags) }
func (l logger) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelInfo, msg, tags) }
func (l logger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

func (l logger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic(msg)
}

// Fatal must not return; the server can't go on.
func (l logger) Fatal(msg string, tags ...tag.Tag) { l.Panic(msg, tags...) }

// quiet is a logger of the SDK's that says nothing.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
