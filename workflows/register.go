package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// Register registers every workflow with a worker or a replayer.
func Register(r worker.WorkflowRegistry) {
	for name, w := range map[string]any{
		schemas.WorkflowRunExport:     RunExport,
		schemas.WorkflowExportSegment: ExportSegment,
		schemas.WorkflowNotify:        Notify,
		schemas.WorkflowScheduledRun:  ScheduledRun,
		schemas.WorkflowRefresh:       Refresh,
		schemas.WorkflowTriggeredRun:  TriggeredRun,
		schemas.WorkflowRemoveExport:  RemoveExport,
		schemas.WorkflowSweep:         Sweep,
		schemas.WorkflowFindLateRuns:  FindLateRuns,
	} {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
}
