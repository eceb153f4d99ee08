package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// The search attributes, as the SDK wants them.
var (
	tagExport     = temporal.NewSearchAttributeKeyKeyword(schemas.AttributeExport)
	tagSegment    = temporal.NewSearchAttributeKeyKeyword(schemas.AttributeSegment)
	tagState      = temporal.NewSearchAttributeKeyKeyword(schemas.AttributeState)
	tagConnection = temporal.NewSearchAttributeKeyKeyword(schemas.AttributeConnection)
	tagSent       = temporal.NewSearchAttributeKeyInt64(schemas.AttributeSent)
	tagRejected   = temporal.NewSearchAttributeKeyInt64(schemas.AttributeRejected)
)

// tags are a run's search attributes. Each change is an event of the history, so they are
// set when the run's state changes, not after every chunk.
type tags struct {
	wanted bool   // the namespace has the attributes
	state  string // as last set
}

// set sets the attributes if the state has changed.
func (t *tags) set(ctx workflow.Context, state string, others ...temporal.SearchAttributeUpdate) {
	if !t.wanted || state == t.state {
		return
	}
	t.state = state
	if err := workflow.UpsertTypedSearchAttributes(ctx, append(others, tagState.ValueSet(state))...); err != nil {
		workflow.GetLogger(ctx).Warn("search attributes not set", "error", err)
	}
}

func (r *runExport) tag(ctx workflow.Context) {
	state := r.progress.State
	if r.waiter != nil && r.waiter.waiting != nil {
		state = schemas.StateWaiting
	}
	r.tags.set(ctx, state, tagExport.ValueSet(r.in.Export.Name), tagConnection.ValueSet(r.in.Export.Connection))
}

func (s *exportSegment) tag(ctx workflow.Context) {
	p := s.progress()
	s.tags.set(ctx, p.State, tagExport.ValueSet(s.in.Run.Export), tagSegment.ValueSet(s.in.Segment.Name),
		tagConnection.ValueSet(s.in.Connection.Name), tagSent.ValueSet(p.Report.Upload.Sent), tagRejected.ValueSet(sum(p.Report.Rejected)))
}
