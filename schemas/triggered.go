package schemas

import "time"

// SignalNews is the signal of WorkflowTriggeredRun that says that an export has new data. Its
// argument is a News.
const SignalNews = "news"

// News says that something was written where an export reads.
type News struct {
	Export string `json:"export"`
	// By is what sent the news.
	By string `json:"by,omitempty"`
}

// AppliedNow is the result of ActivityReadSchedule.
type AppliedNow struct {
	// Input is what the export's schedule starts now, nil if the export is not applied.
	Input  *ScheduledInput `json:"input,omitempty"`
	Paused bool            `json:"paused,omitempty"`
}

// TriggeredInput starts WorkflowTriggeredRun. It is set when the workflow continues in a new
// execution.
type TriggeredInput struct {
	// News is the latest, nil at the start; At is when it came.
	News *News     `json:"news,omitempty"`
	At   time.Time `json:"at,omitzero"`
}

// TriggeredWorkflowID returns the ID of the workflow that collects the news of an export.
func TriggeredWorkflowID(export string) string { return "trigger/" + escape(export) }
