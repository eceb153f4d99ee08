package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Names of workflows, as registered with Temporal.
const (
	WorkflowRunExport     = "RunExport"
	WorkflowExportSegment = "ExportSegment"
	// WorkflowScheduledRun is what a schedule starts: it starts the run, if none is in
	// progress.
	WorkflowScheduledRun = "ScheduledRun"
	// WorkflowRefresh is what the schedule of an export starts that others are after: it
	// starts one WorkflowScheduledRun for each export, in order.
	WorkflowRefresh = "Refresh"
	// WorkflowTriggeredRun collects the news of an export's data, and starts runs for them.
	WorkflowTriggeredRun = "TriggeredRun"
	// WorkflowRemoveExport deletes the data kept for an export.
	WorkflowRemoveExport = "RemoveExport"
	// WorkflowNotify sends a webhook about a run.
	WorkflowNotify = "Notify"
	// WorkflowSweep deletes what runs have left in the data root.
	WorkflowSweep = "Sweep"
	// WorkflowFindLateRuns notifies of exports whose runs are overdue, not done or slow.
	WorkflowFindLateRuns = "FindLateRuns"
)

// Names of activities: the steps of a run. The CLI, the UI and the documentation use the
// same names.
const (
	ActivityAuthorize      = "Authorize"
	ActivityFetchForgotten = "FetchForgotten"
	ActivityInspectSegment = "InspectSegment"
	ActivityEnsureList     = "EnsureList"
	ActivityStageSegment   = "StageSegment"
	// ActivityDivideSegment reads a segment with several lists once, and keeps its rows by list
	// for StageSegment. ActivityCloseDivided cleans up after the lists' runs.
	ActivityDivideSegment = "DivideSegment"
	ActivityCloseDivided  = "CloseDivided"
	ActivityUploadBatches = "UploadBatches"

	ActivityCommitSnapshot = "CommitSnapshot"
	ActivityNotify         = "Notify"
	ActivityWriteRunReport = "WriteRunReport"
	ActivityCloseRun       = "CloseRun"
	// ActivityEndTrial deletes the people that a trial named.
	ActivityEndTrial = "EndTrial"
	// ActivityServed reports whether any worker serves a connection.
	ActivityServed = "Served"
	// ActivityRemoveExport deletes the data kept for an export.
	ActivityRemoveExport = "RemoveExport"
	// ActivitySweep deletes what runs have left in the data root.
	ActivitySweep = "Sweep"
	// ActivityFindLateRuns looks for exports whose runs are overdue, not done or slow.
	ActivityFindLateRuns = "FindLateRuns"
	// ActivityReadSchedule returns what the schedule of an export starts now.
	ActivityReadSchedule = "ReadSchedule"
	// ActivityLookAtRun returns a RunLook of the newest run of an export.
	ActivityLookAtRun = "LookAtRun"
	// ActivityReadRefresh returns which exports a refresh runs, and in which order.
	ActivityReadRefresh = "ReadRefresh"
)

// SweepID is the ID of the schedule that starts WorkflowSweep. The IDs of its workflows
// begin with it.
const SweepID = "sweep"

// Steps that are not activities.
const (
	// StepAwaitData waits until the segment's data is complete; InspectSegment looks.
	StepAwaitData  = "AwaitData"
	StepGuardrails = "Guardrails"
)

// LateRunsID is the ID of the schedule that starts WorkflowFindLateRuns.
const LateRunsID = "late-runs"

// OutlookPrefix begins the IDs of the schedules that are made to compute starts, and deleted at
// once.
const OutlookPrefix = "outlook/"

// Names of the updates and queries that a run answers.
const (
	// UpdateRetry repeats the failed step of a waiting run.
	UpdateRetry = "retry"
	// UpdateAbort ends a waiting run. Nothing more is sent.
	UpdateAbort = "abort"
	// UpdateApprove continues a run that a guardrail has paused.
	UpdateApprove = "approve"
	// QueryProgress returns a Progress or a RunProgress.
	QueryProgress = "progress"
)

// TaskQueue is the queue of workflows and of the activities that read segments. Each
// connection has an upload queue of its own, so that a slow project never delays another.
const TaskQueue = "segment-export"

// UploadTaskQueue returns the queue of the activities that call Iterable for one
// connection.
func UploadTaskQueue(connection string) string {
	return TaskQueue + "/" + PathName(connection)
}

// AccessTaskQueue is the queue of Authorize, which is short and must not wait behind
// segments that are being read.
const AccessTaskQueue = TaskQueue + "/access"

// NotifyTaskQueue is the queue of Notify. Webhooks that do not answer must not hold up runs.
const NotifyTaskQueue = TaskQueue + "/notify"

// RunWorkflowID returns the workflow ID of an export's runs. All runs share it, so that
// Temporal itself keeps an export from running twice at the same time.
func RunWorkflowID(export string) string { return runPrefix + escape(export) }

// ScheduleID returns the ID of an export's schedule.
func ScheduleID(export string) string { return runPrefix + escape(export) }

// ExportOfSchedule returns the export whose schedule has this ID. ok reports whether the ID
// belongs to an export.
func ExportOfSchedule(id string) (export string, ok bool) { return ExportOfRun(id) }

// ScheduledWorkflowID returns the prefix of the IDs of the workflows that an export's
// schedule starts; Temporal appends the time.
func ScheduledWorkflowID(export string) string { return schedulePrefix + escape(export) }

// RefreshWorkflowID returns the prefix of the IDs of the refreshes that begin with an export;
// the time follows, as in those of scheduled workflows.
func RefreshWorkflowID(export string) string { return refreshPrefix + escape(export) }

// StartTime returns the end of the ID of a scheduled workflow or of a refresh: a dash and the
// time of the start. It is empty in other IDs.
func StartTime(workflowID string) string {
	at := len(workflowID) - scheduledTime
	if at < 0 {
		return ""
	}
	if _, err := time.Parse("-"+time.RFC3339, workflowID[at:]); err != nil {
		return ""
	}
	return workflowID[at:]
}

// scheduledTime is the length of the time that Temporal appends to the IDs of scheduled
// workflows, such as -2026-01-31T04:00:00Z.
const scheduledTime = len("-") + len(time.RFC3339) - len("07:00")

// ExportOfScheduled returns the export whose schedule started the workflow with this ID. ok
// reports whether the ID belongs to an export.
func ExportOfScheduled(workflowID string) (export string, ok bool) {
	name, ok := strings.CutPrefix(workflowID, schedulePrefix)
	if !ok || len(name) <= scheduledTime {
		return "", false
	}
	export, err := url.PathUnescape(name[:len(name)-scheduledTime])
	return export, err == nil
}

// SegmentWorkflowID returns the ID of the child workflow for one segment.
func SegmentWorkflowID(export, segment string) string {
	return RunWorkflowID(export) + "/" + escape(segment)
}

// CheckWorkflowID returns the workflow ID of the check of an export. It differs from the
// run's, so that a check never delays a run.
func CheckWorkflowID(export string) string { return checkPrefix + escape(export) }

// CheckSegmentWorkflowID returns the ID of the child workflow that checks one segment.
func CheckSegmentWorkflowID(export, segment string) string {
	return CheckWorkflowID(export) + "/" + escape(segment)
}

const (
	runPrefix   = "export/"
	checkPrefix = "check/"

	schedulePrefix = "schedule/"
	refreshPrefix  = "refresh/"
)

// runID matches the IDs that Temporal gives to runs.
var runID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// IsRunID reports whether a text has the form of a run ID.
func IsRunID(text string) bool { return runID.MatchString(text) }

// ExportOfRun returns the export whose run has this workflow ID. ok reports whether the ID
// belongs to a run.
func ExportOfRun(workflowID string) (export string, ok bool) {
	name, ok := strings.CutPrefix(workflowID, runPrefix)
	if !ok || strings.Contains(name, "/") {
		return "", false
	}
	export, err := url.PathUnescape(name)
	return export, err == nil
}

// escape returns name as a part of a workflow ID: Temporal's clients send IDs in headers,
// which allow ASCII only, and the slash separates export and segment.
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

// PathName returns a display name in a form that every file system and bucket accepts: a
// readable part, and the first 128 bits of the name's SHA-256 in hex, so that no other name
// has the same form.
func PathName(name string) string {
	const most = 30
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
				b.WriteByte('-')
			}
		}
		if b.Len() >= most {
			break
		}
	}
	sum := sha256.Sum256([]byte(name))
	readable := strings.TrimSuffix(b.String(), "-")
	if readable == "" {
		readable = "x"
	}
	return readable + "-" + hex.EncodeToString(sum[:16])
}
