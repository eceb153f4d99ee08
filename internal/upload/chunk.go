// Package upload sends the staged batches of a run to Iterable: several requests at a time, as
// many batches in each as the learned limits allow. Iterable's answers are stored beside the
// staged files, so that another attempt continues where this one ended.
package upload

import (
	"context"
	"errors"
	"fmt"
	"path"

	"go.temporal.io/sdk/activity"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/limits"
	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/schemas"
)

// Chunk is the upload of one chunk of batches.
type Chunk struct {
	in       schemas.UploadInput
	progress *tracker
}

// NewChunk returns the upload of a chunk that continues from the progress of earlier attempts.
func NewChunk(ctx context.Context, in schemas.UploadInput) *Chunk {
	return &Chunk{in, newTracker(in, startingPoint(ctx, in))}
}

// Progress returns what was acknowledged so far.
func (c *Chunk) Progress() schemas.UploadProgress { return c.progress.snapshot() }

// Options are what an upload needs.
type Options struct {
	Client *iterable.Client
	Ledger *ledger.Ledger
	// Senders shares the connection's limits with the other workers; nil without others.
	Senders *limits.Share
	Metrics *observe.Metrics // may be nil
	// Attempt hears of the outcome of each request.
	Attempt Attempt
	// MayBegin returns an error if what was staged may not be sent any more. It is called once
	// the answers to earlier attempts are stored: a run that starts over needs them.
	MayBegin func(context.Context) error
	// MayGoOn returns an error once consent is withdrawn, or another export fills the list.
	MayGoOn func(context.Context) error
}

// Attempt is the activity's attempt.
type Attempt interface {
	Worked()
	Failed(error)
	ReportSoon()
}

// Send sends the rest of the chunk.
func (c *Chunk) Send(ctx context.Context, o Options) error {
	return columnAtFault(c.send(ctx, o), c.in)
}

func (c *Chunk) send(ctx context.Context, o Options) error {
	in, progress := c.in, c.progress
	// Kind and attempt become part of the names of files.
	if !valid(in) {
		return step.NeedOperator(schemas.ErrorGrant, fmt.Sprintf("upload batches %d to %d of kind %q: invalid chunk", in.First, in.End, in.Kind))
	}
	key := path.Join(dataroot.StagedDir(in.Run, in.Attempt), ledger.StagedName(in.Kind))
	staged, err := o.Ledger.OpenStaged(ctx, key)
	if err != nil {
		return ledger.StagingError("the staged file "+key, err)
	}
	defer staged.Close()
	if staged.Batches() < in.End {
		return step.NeedOperator(schemas.ErrorStaging, fmt.Sprintf(
			"the staged file %s has %d batches where %d were expected; retry stages the segment again", key, staged.Batches(), in.End))
	}
	noted, err := o.Ledger.ReadAnswered(ctx, in.Run, in.Attempt)
	if err != nil {
		return ledger.StagingError("Iterable's answers", err)
	}
	if c := noted[in.Kind][in.First]; c != nil {
		progress.resume(c.Progress, c.Requests)
	}
	id := step.AttemptID(ctx)
	note := func(ctx context.Context) error {
		return o.Ledger.WriteAnswered(ctx, in, id, progress.snapshot(), progress.answeredRequests()...)
	}
	// A chunk whose progress is stored counts as sent where it has no answers. So that of one
	// which may not begin is stored only if it has some.
	if progress.begun(in.First) {
		if err := note(ctx); err != nil {
			return err
		}
	}
	if err := o.MayBegin(ctx); err != nil {
		return err
	}
	if err := note(ctx); err != nil { // before the first request
		return err
	}
	if err := o.Ledger.AnnounceSending(ctx, in); err != nil {
		return err
	}
	refused, err := o.Ledger.RefusedBatches(ctx, in)
	if err != nil {
		return err
	}
	defer o.Senders.Join(ctx, in.Connection.Name)()
	pace := &paceLog{}
	defer writePace(ctx, o.Ledger, in, pace)
	u := &uploader{
		in: in, client: o.Client, staged: staged, progress: progress, attempt: o.Attempt, pace: pace, metrics: o.Metrics, refused: refused, note: note,
		probe: make(chan struct{}, 1),
		refuse: func(ctx context.Context, k int, b *batch.Batch, rows []ledger.Refusal) error {
			return o.Ledger.WriteRefusals(ctx, in, k, b, rows)
		},
		mayGoOn: o.MayGoOn,
	}
	u.known.Store(in.Kind == schemas.Unsubscribe || progress.snapshot().Counts.Acknowledged() > 0)
	err = u.run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	return errors.Join(err, note(last))
}

// valid reports whether the input describes a chunk.
func valid(in schemas.UploadInput) bool {
	return (in.Kind == schemas.Subscribe || in.Kind == schemas.Unsubscribe) && in.First >= 0 && in.First <= in.End && dataroot.IsAttempt(in.Attempt)
}

// startingPoint returns the progress of earlier attempts: of the previous heartbeat, or as
// known to the workflow.
func startingPoint(ctx context.Context, in schemas.UploadInput) schemas.UploadProgress {
	var p schemas.UploadProgress
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &p) == nil && p.Next >= in.First {
		return p
	}
	if in.Resume != nil {
		return *in.Resume
	}
	return schemas.UploadProgress{Next: in.First}
}
