package host

import (
	"errors"
	"log/slog"
	"testing"
)

// TestAWorkerThatStoppedByItselfIsNotReady, although Temporal would answer: that of any queue.
func TestAWorkerThatStoppedByItselfIsNotReady(t *testing.T) {
	h := &Host{o: Options{Log: slog.New(slog.DiscardHandler)}}
	of := h.options(1)
	if err := h.Failed(); err != nil {
		t.Error(err)
	}
	cause := errors.New("the namespace is gone")
	of.OnFatalError(cause)
	if err := h.Failed(); !errors.Is(err, cause) {
		t.Error(err)
	}
	// Without an answer, worker_ready is 0.
	if _, err := h.state(t.Context())(t.Context()); !errors.Is(err, cause) {
		t.Error(err)
	}
}
