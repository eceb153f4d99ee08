package schemas

// Names of workflows, as registered with Temporal.
const (
	WorkflowRunExport     = "RunExport"
	WorkflowExportSegment = "ExportSegment"
)

// Names of activities: the steps of a run, by the names that the CLI, the UI and
// the documentation use for them too.
const (
	ActivityAuthorize      = "Authorize"
	ActivityInspectSegment = "InspectSegment"
	ActivityEnsureList     = "EnsureList"
	ActivityStageSegment   = "StageSegment"
	ActivityUploadBatches  = "UploadBatches"
	ActivityVerifyList     = "VerifyList"
	ActivityCommitSnapshot = "CommitSnapshot"
	ActivityCloseRun       = "CloseRun"
)

// StepGuardrails is the one step that is no activity.
const StepGuardrails = "Guardrails"

// Names of the updates and queries that a run answers.
const (
	// UpdateRetry makes a waiting run try the failed step again.
	UpdateRetry = "retry"
	// UpdateAbort makes a waiting run end with nothing more sent.
	UpdateAbort = "abort"
	// UpdateApprove lets a run go on that a guardrail has stopped.
	UpdateApprove = "approve"
	// QueryProgress answers with a Progress or a RunProgress.
	QueryProgress = "progress"
)

// TaskQueue is where workflows and the activities that read segments run.
// Uploads run on a queue of their own for each connection, so that a slow
// project never holds up another one.
const TaskQueue = "segment-export"

// UploadTaskQueue is the queue of the activities that call Iterable for one
// connection.
func UploadTaskQueue(connection string) string {
	return TaskQueue + "/" + PathName(connection)
}

// RunWorkflowID is the workflow id of an export's run. It has no run number, so
// that Temporal itself keeps an export from running twice at the same time.
func RunWorkflowID(export string) string { return "export/" + export }

// SegmentWorkflowID is the id of the child workflow for one segment.
func SegmentWorkflowID(export, segment string) string {
	return "export/" + export + "/" + segment
}
