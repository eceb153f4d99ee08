package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// Register makes a worker, or what replays histories, know every workflow.
func Register(r worker.WorkflowRegistry) {
	for name, w := range map[string]any{
		schemas.WorkflowRunExport:     RunExport,
		schemas.WorkflowExportSegment: ExportSegment,
		schemas.WorkflowNotify:        Notify,
		schemas.WorkflowScheduledRun:  ScheduledRun,
		schemas.WorkflowRemoveExport:  RemoveExport,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}
