package schemas

import (
	"strconv"
	"strings"
	"time"
)

// Values of Export.AfterFailure.
const (
	// AfterSkip does not run the export in that refresh.
	AfterSkip = "skip"
	// AfterRun runs it nevertheless.
	AfterRun = "run"
)

// Follows returns what an export is after, in words such as: after "A" and "B". It is empty
// if the export is after no other.
func (e Export) Follows() string {
	if len(e.After) == 0 {
		return ""
	}
	names := make([]string, len(e.After))
	for i, name := range e.After {
		names[i] = strconv.Quote(name)
	}
	text := "after " + names[0]
	if last := len(names) - 1; last > 0 {
		text = "after " + strings.Join(names[:last], ", ") + " and " + names[last]
	}
	if e.AfterFailure == AfterRun {
		text += ", done or not"
	}
	return text
}

// RefreshInput starts WorkflowRefresh. A schedule starts it with a ScheduledInput.
type RefreshInput struct {
	ScheduledInput
	// Ended is set if the export's own run has ended already, because news of its data
	// started it. The refresh then runs only what is after it.
	Ended *RefreshedExport `json:"ended,omitempty"`
	// By is who sent that news. The runs are shown as started by it.
	By string `json:"by,omitempty"`
}

// RefreshRequest is the input of ActivityReadRefresh.
type RefreshRequest struct {
	Export string `json:"export"`
	// Alone leaves out the exports that do not start after this one.
	Alone bool `json:"alone,omitempty"`
	// At is the StartTime of the refresh, empty if no schedule started it.
	At string `json:"at,omitempty"`
}

// RefreshPlan is which exports a refresh runs.
type RefreshPlan struct {
	// Leader is the export whose schedule starts the refresh. Of several that start at the
	// same time it is the first one by name with an active schedule.
	Leader string `json:"leader"`
	// Later is the ID of a refresh under way that the same schedule started for a later time,
	// empty if there is none. It runs all exports, so there are no Members.
	Later string `json:"later,omitempty"`
	// Members are the exports, by name.
	Members []RefreshMember `json:"members"`
}

// RefreshMember is one export of a RefreshPlan.
type RefreshMember struct {
	Export string `json:"export"`
	// After and AfterFailure are the export's.
	After        OneOrMore `json:"after,omitempty"`
	AfterFailure string    `json:"afterFailure,omitempty"`
}

// RunLook is the state of the newest run of an export.
type RunLook struct {
	RunID string `json:"runId"`
	// State is StateWaiting only if no segment of the run makes progress, and StateSkipped if
	// the run has ended and left a segment out.
	State     string    `json:"state"`
	StartedAt time.Time `json:"startedAt"`
	Ended     bool      `json:"ended,omitempty"`
	// Alone reports whether a person or a request started the run, so that nothing starts what
	// is after its export.
	Alone bool `json:"alone,omitempty"`
}

// RefreshResult is what Refresh returns.
type RefreshResult struct {
	// Leader is the export whose schedule starts the refresh, if it is another one. Then
	// Exports is empty.
	Leader string `json:"leader,omitempty"`
	// Later is RefreshPlan.Later. Then Exports is empty.
	Later   string            `json:"later,omitempty"`
	Exports []RefreshedExport `json:"exports,omitempty"`
}

// RefreshedExport is what has become of an export in a refresh.
type RefreshedExport struct {
	Export string `json:"export"`
	// State is the state of its run; StateUpstream before it starts.
	State string `json:"state"`
	// Why says why there was no run, or why the run was started although another export was
	// not done.
	Why string `json:"why,omitempty"`
	// RunID is the run, empty if there was none or if it was not done.
	RunID string `json:"runId,omitempty"`
}
