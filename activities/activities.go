// Package activities holds the side effects of a run, one file for each step.
// They are methods of Activities, whose fields are what they work with. What an
// activity returns, sends as a heartbeat or fails with ends up in Temporal, so
// none of it may hold an address, a user id, a field value or a key.
package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Activities is what the steps of a run work with.
type Activities struct {
	// Connections are the connections of connections.yaml.
	Connections Connections
	// Access says who may do what.
	Access *access.Gate
	// Executions asks Temporal for a workflow.
	Executions func(ctx context.Context, workflowID, runID string) (Execution, error)
	// Clients makes one API client for each connection, and keeps it.
	Clients *Clients
	// Senders tells the other workers who sends over which connection; nil where
	// there are no others.
	Senders *limits.Share
	// Root is the data root.
	Root *storage.Root
	// SearchAttributes tells whether the namespace has the project's search
	// attributes.
	SearchAttributes func(context.Context) bool
	// TempDir is a folder for what does not fit into memory; "" is the system's.
	TempDir string
	// BatchProfiles is the most profiles of a batch; 0 is schemas.BatchProfiles.
	BatchProfiles int
	// Notifier sends webhooks.
	Notifier *notify.Sender
	// Metrics counts what becomes of profiles; may be nil.
	Metrics *observe.Metrics
	Log     *slog.Logger
	// Heartbeat sends a heartbeat of the activity whose context it gets, and returns once
	// it is answered: serviceerror.NotFound where the attempt does not count any more. Nil
	// is the SDK's, which does not say.
	Heartbeat func(ctx context.Context, details ...any) error
	// Polled reports whether any worker takes tasks from a task queue.
	Polled func(ctx context.Context, queue string) (bool, error)
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Version is the worker's, for people.
	Version string

	inspected inspected
}

// Connections finds connections by name.
type Connections interface {
	// Get gives the connection, or an error for people that lists the names
	// that come near.
	Get(name string) (schemas.Connection, error)
	// Key reads the connection's API key anew.
	Key(schemas.Connection) (string, error)
	// Names lists the connections.
	Names() []string
	// Retention is how long reports and rejects are kept.
	Retention() schemas.Retention
	// Status tells whether the newest version of connections.yaml is in force.
	Status() config.Status
}

// needOperator makes an error that no retry cures.
func needOperator(kind schemas.ErrorType, message string, details ...any) error {
	return temporal.NewApplicationErrorWithOptions(message, kind,
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: details})
}

// failure turns an error of the API into what Temporal is told: what a retry
// cures stays retryable, the rest waits for an operator.
func failure(err error, connection string) error {
	var api *iterable.Error
	if !errors.As(err, &api) {
		return err
	}
	if kind := api.Type(); kind != "" {
		then := "; then retry"
		switch {
		case kind == schemas.ErrorListGone:
			then = "; retry looks for the list again, makes it where it is gone, and sends everybody who is not on it"
		case api.Class == iterable.FieldTypes, api.Class == iterable.FieldsLimit:
			then = "; then retry, or abort, change the export's mapping and run it again"
		}
		return needOperator(kind, fmt.Sprintf("connection «%s»: %s%s", connection, api, then))
	}
	return temporal.NewApplicationErrorWithOptions(api.Error(), string(api.Class),
		temporal.ApplicationErrorOptions{NextRetryDelay: api.RetryAfter})
}
