package schemas

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Names of workflows, as registered with Temporal.
const (
	WorkflowRunExport     = "RunExport"
	WorkflowExportSegment = "ExportSegment"
	// WorkflowScheduledRun is what a schedule starts: it starts the run, if none is
	// under way.
	WorkflowScheduledRun = "ScheduledRun"
	// WorkflowRemoveExport deletes what is kept of an export.
	WorkflowRemoveExport = "RemoveExport"
	// WorkflowNotify tells somebody of a run by a webhook.
	WorkflowNotify = "Notify"
)

// Names of activities: the steps of a run, by the names that the CLI, the UI and
// the documentation use for them too.
const (
	ActivityAuthorize      = "Authorize"
	ActivityFetchForgotten = "FetchForgotten"
	ActivityInspectSegment = "InspectSegment"
	ActivityEnsureList     = "EnsureList"
	ActivityStageSegment   = "StageSegment"
	ActivityUploadBatches  = "UploadBatches"
	ActivityVerifyList     = "VerifyList"
	ActivityCommitSnapshot = "CommitSnapshot"
	ActivityNotify         = "Notify"
	ActivityWriteRunReport = "WriteRunReport"
	ActivityCloseRun       = "CloseRun"
	// ActivityServed says whether any worker serves a connection.
	ActivityServed = "Served"
	// ActivityRemoveExport deletes what is kept of an export.
	ActivityRemoveExport = "RemoveExport"
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

// AccessTaskQueue is the queue of Authorize, which takes a moment and must not queue
// behind segments that are being read.
const AccessTaskQueue = TaskQueue + "/access"

// RunWorkflowID is the workflow id of an export's run. It has no run number, so
// that Temporal itself keeps an export from running twice at the same time.
func RunWorkflowID(export string) string { return runPrefix + escape(export) }

// ScheduleID is the id of an export's schedule.
func ScheduleID(export string) string { return runPrefix + escape(export) }

// ExportOfSchedule gives the export whose schedule has this id; ok is false if it is
// none's.
func ExportOfSchedule(id string) (export string, ok bool) { return ExportOfRun(id) }

// ScheduledWorkflowID is what the ids of the workflows begin with that an export's
// schedule starts; Temporal appends the time.
func ScheduledWorkflowID(export string) string { return schedulePrefix + escape(export) }

// scheduledTime is the length of what Temporal appends to the ids of the workflows
// that a schedule starts, such as -2026-01-31T04:00:00Z.
const scheduledTime = len("-") + len(time.RFC3339) - len("07:00")

// ExportOfScheduled gives the export whose schedule started the workflow of this
// id; ok is false if it is none's.
func ExportOfScheduled(workflowID string) (export string, ok bool) {
	name, ok := strings.CutPrefix(workflowID, schedulePrefix)
	if !ok || len(name) <= scheduledTime {
		return "", false
	}
	export, err := url.PathUnescape(name[:len(name)-scheduledTime])
	return export, err == nil
}

// SegmentWorkflowID is the id of the child workflow for one segment.
func SegmentWorkflowID(export, segment string) string {
	return RunWorkflowID(export) + "/" + escape(segment)
}

// CheckWorkflowID is the workflow id of the check of an export, another one than
// its run's, so that a check never keeps a run waiting.
func CheckWorkflowID(export string) string { return checkPrefix + escape(export) }

// CheckSegmentWorkflowID is the id of the child workflow that checks one segment.
func CheckSegmentWorkflowID(export, segment string) string {
	return CheckWorkflowID(export) + "/" + escape(segment)
}

const (
	runPrefix   = "export/"
	checkPrefix = "check/"

	schedulePrefix = "schedule/"
)

// ExportOfRun gives the export whose run has this workflow id; ok is false if it
// is no run's.
func ExportOfRun(workflowID string) (export string, ok bool) {
	name, ok := strings.CutPrefix(workflowID, runPrefix)
	if !ok || strings.Contains(name, "/") {
		return "", false
	}
	export, err := url.PathUnescape(name)
	return export, err == nil
}

// escape makes a name fit for a workflow id: Temporal's clients send ids in
// headers, which take ASCII only, and the slash parts export and segment.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '/' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
