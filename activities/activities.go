// Package activities implements the side effects of a run, one file for each step. They are
// methods of Activities, whose fields are their dependencies. Results, heartbeats and errors
// of activities end up in Temporal, so none of them may contain an address, a user ID, a
// field value or a key.
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
	"iterable-segment-export/internal/forgotten"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/overview"
	"iterable-segment-export/internal/staging"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression/lists"
	"iterable-segment-export/internal/sweep"
	"iterable-segment-export/schemas"
)

// Activities has the dependencies of the steps of a run.
type Activities struct {
	// Connections are the connections of connections.yaml.
	Connections Connections
	// Access decides who may do what.
	Access *access.Gate
	// Executions looks up a workflow in Temporal.
	Executions func(ctx context.Context, workflowID, runID string) (Execution, error)
	// LastStaged returns what Temporal knows of the newest staging of a segment, or nil if it
	// knows of none. Nil is for tests without Temporal.
	LastStaged func(ctx context.Context, run schemas.RunRef) (*schemas.Staged, error)
	// Clients caches one API client per connection.
	Clients *Clients
	// Senders shares the connections' limits with the other workers; nil without others.
	Senders *limits.Share
	// Root is the data root.
	Root *storage.Root
	// SearchAttributes reports whether the namespace has the project's search attributes.
	SearchAttributes func(context.Context) bool
	// TempDir is the folder for temporary files; "" is the system's.
	TempDir string
	// BatchProfiles is the most profiles of a batch; 0 is schemas.BatchProfiles.
	BatchProfiles int
	// Notifier sends webhooks.
	Notifier *notify.Sender
	// Metrics counts profiles by outcome; may be nil.
	Metrics *observe.Metrics
	Log     *slog.Logger
	// Overview writes the page of all exports; nil writes none.
	Overview *overview.Page
	// Heartbeat sends a heartbeat, as step.Options says; nil is the SDK's.
	Heartbeat func(ctx context.Context, details ...any) error
	// Runs looks up the runs of a sweep in Temporal.
	Runs sweep.Runs
	// Polled reports whether any worker polls a task queue.
	Polled func(ctx context.Context, queue string) (bool, error)
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Version is the worker's version, for display.
	Version string

	inspected inspected
	lists     lists.Cache
	listings  staging.Listings
}

// Connections finds connections by name.
type Connections interface {
	// Get returns the connection, or an error that suggests similar names.
	Get(name string) (schemas.Connection, error)
	// Key reads the connection's API key.
	Key(schemas.Connection) (string, error)
	// Names returns the names of the connections.
	Names() []string
	// Retention returns how long reports and rejects are kept.
	Retention() schemas.Retention
	// Status reports whether the newest version of connections.yaml is in use.
	Status() config.Status
}

// Ledger returns the ledger of the data root.
func (a *Activities) Ledger() *ledger.Ledger {
	return &ledger.Ledger{Root: a.Root, TempDir: a.TempDir, LastStaged: a.LastStaged, Log: a.Log}
}

// forgotten returns the profiles that Iterable has forgotten.
func (a *Activities) forgotten() forgotten.Store { return forgotten.Store{Root: a.Root, Log: a.Log} }

// Sweep deletes what runs could not clean up themselves, and what is older than its retention.
func (a *Activities) Sweep(ctx context.Context) (done schemas.SweepResult, err error) {
	ctx, attempt := a.begin(ctx, 0, nil)
	defer attempt.End(ctx, &err)
	return a.Sweeper().Sweep(ctx)
}

// Sweeper returns the sweeper of the data root.
func (a *Activities) Sweeper() *sweep.Sweeper {
	return &sweep.Sweeper{Ledger: a.Ledger(), Runs: a.Runs, Retention: a.Connections.Retention}
}

// begin starts an attempt at an activity.
func (a *Activities) begin(ctx context.Context, deadline schemas.Duration, details func() any) (context.Context, *step.Attempt) {
	return step.Begin(ctx, deadline, details, step.Options{Heartbeat: a.Heartbeat, Now: a.Now})
}

// clock returns the wall clock.
func (a *Activities) clock() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// failure turns an error of the API into one for Temporal: temporary errors stay retryable,
// others wait for an operator.
func failure(err error, connection string) error {
	var api *iterable.Error
	if !errors.As(err, &api) {
		return err
	}
	if kind := api.Type(); kind != "" {
		then := "; then retry"
		switch {
		case kind == schemas.ErrorListGone:
			then = "; retry looks for the list again, creates it if it is gone, and sends all profiles that are not on it"
		case api.Class == iterable.FieldTypes, api.Class == iterable.FieldsLimit:
			then = "; then retry, or abort, change the export's mapping and run it again"
		}
		return step.NeedOperator(kind, fmt.Sprintf("connection %q: %s%s", connection, api, then))
	}
	return temporal.NewApplicationErrorWithOptions(api.Error(), "",
		temporal.ApplicationErrorOptions{NextRetryDelay: api.RetryAfter})
}
