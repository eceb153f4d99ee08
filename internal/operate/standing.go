package operate

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"

	"iterable-segment-export/schemas"
)

// Standing is what Temporal knows of a segment's run.
type Standing struct {
	// Lives: the run or the segment's part of it may go on at any time. Known: it
	// is one that Temporal has heard of. UnderWay: some run of the export has not
	// ended.
	Lives, Known, UnderWay bool
}

// Standing asks Temporal's history, which knows of every change at once, unlike its
// lists of workflows.
func (o *Operator) Standing(ctx context.Context, run schemas.RunRef) (s Standing, err error) {
	for _, id := range []string{schemas.RunWorkflowID(run.Export), schemas.CheckWorkflowID(run.Export)} {
		this, err := o.execution(ctx, id, run.RunID)
		if err != nil {
			return s, err
		}
		s.Known = s.Known || this != nil
		s.Lives = s.Lives || unended(this)
	}
	newest, err := o.execution(ctx, schemas.RunWorkflowID(run.Export), "")
	if err != nil {
		return s, err
	}
	if s.UnderWay = unended(newest); s.UnderWay && newest.FirstRunId == run.RunID {
		s.Known, s.Lives = true, true // it was reset in Temporal, and goes on under another run ID
	}
	for _, id := range []string{schemas.SegmentWorkflowID(run.Export, run.Segment), schemas.CheckSegmentWorkflowID(run.Export, run.Segment)} {
		part, err := o.execution(ctx, id, "")
		if err != nil {
			return s, err
		}
		if !unended(part) {
			continue
		}
		s.UnderWay = true
		// It outlives its run for a moment.
		if part.ParentExecution == nil || part.ParentExecution.RunId == run.RunID {
			s.Lives = true
		}
	}
	return s, nil
}

func unended(e *workflow.WorkflowExecutionInfo) bool {
	return e != nil && e.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING
}

// execution gives nil for a workflow that there is not.
func (o *Operator) execution(ctx context.Context, id, run string) (*workflow.WorkflowExecutionInfo, error) {
	d, err := o.Client.DescribeWorkflowExecution(ctx, id, run)
	switch {
	case err == nil:
		return d.WorkflowExecutionInfo, nil
	case absent(err):
		return nil, nil
	}
	return nil, fmt.Errorf("ask Temporal for the run %s: %w", run, err)
}
