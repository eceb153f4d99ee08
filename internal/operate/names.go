package operate

import (
	"context"
	"fmt"
	"slices"

	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/schemas"
)

// maxNames bounds what Names and RunsOf look through, so that they answer at once
// in a namespace of any size.
const maxNames = 500

// Names lists the names of the exports that were applied, sorted. It asks Temporal
// once for a page of them and looks at none closer, so it is quick.
func (o *Operator) Names(ctx context.Context) ([]string, error) {
	list, err := o.Client.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: maxNames})
	if err != nil {
		return nil, fmt.Errorf("list the schedules: %w", err)
	}
	var names []string
	for list.HasNext() && len(names) < maxNames {
		entry, err := list.Next()
		if err != nil {
			return nil, fmt.Errorf("list the schedules: %w", err)
		}
		if name, ok := schemas.ExportOfSchedule(entry.ID); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// RunsOf lists the newest runs as visibility knows them, without asking any; with
// underWay only those that have not ended.
func (o *Operator) RunsOf(ctx context.Context, underWay bool) ([]View, error) {
	query := fmt.Sprintf("WorkflowType = %q", schemas.WorkflowRunExport)
	if underWay {
		query += " AND ExecutionStatus = 'Running'"
	}
	return o.list(ctx, query, func(e *workflow.WorkflowExecutionInfo) (Run, bool) {
		name, ok := schemas.ExportOfRun(e.Execution.WorkflowId)
		return Run{Export: name, WorkflowID: e.Execution.WorkflowId, RunID: e.Execution.RunId}, ok
	}, maxNames)
}
