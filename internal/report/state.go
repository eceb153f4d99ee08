package report

import (
	"time"

	"iterable-segment-export/schemas"
)

// PastRuns is what the data root keeps of the runs of an export, for longer than Temporal
// keeps them. It has names and counts only.
type PastRuns struct {
	Connection string `json:"connection"`
	Export     string `json:"export"`
	// Runs are the last runs, at most MostPastRuns, in the order in which they ended.
	Runs []PastRun `json:"runs"`
	// Rejected counts the rejected rows of all runs that ended in a month, by month (as
	// MonthOf) and reason. It has the last two months with rejects.
	Rejected map[string]map[schemas.Reason]int64 `json:"rejected,omitempty"`
}

// MostPastRuns is how many runs of an export PastRuns has at most.
const MostPastRuns = 90

// PastRun is one run that has ended and has a report.
type PastRun struct {
	RunID      string    `json:"runId"`
	State      string    `json:"state"`
	StartedBy  string    `json:"startedBy"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	// Lists are the lists of the run, in the order of the segments.
	Lists []PastList `json:"lists"`
}

// PastList is a list at the end of a run. Its name is the segment's.
type PastList struct {
	Segment string `json:"segment"`
	ListID  int64  `json:"listId,omitempty"`
	// State is that of the list's run, or StateKept.
	State string `json:"state"`
	// Error is why State is not "done".
	Error string `json:"error,omitempty"`
	// Size is how many members the list has; it is known only if State is "done".
	Size int64 `json:"size"`
}

// MonthOf returns the month of a time in UTC, such as "2026-03".
func MonthOf(t time.Time) string { return t.UTC().Format("2006-01") }

// Overview is the state of all exports at a moment.
type Overview struct {
	At      time.Time        `json:"at"`
	Exports []ExportOverview `json:"exports"`
}

// ExportOverview is the state of one export.
type ExportOverview struct {
	PastRuns
	// Applied reports whether the export is applied. If not, a person ran a definition.
	Applied bool `json:"applied"`
	// State is that of the run under way or, if there is none, of the last one. It is empty
	// before the first run. RunID and StartedAt are of the same run.
	State     string    `json:"state,omitempty"`
	RunID     string    `json:"runId,omitempty"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	// Error is why the last run failed, empty if it is among the past runs.
	Error string `json:"error,omitempty"`
	// Waits are what the run under way waits for, with the commands that answer.
	Waits []OverviewWait `json:"waits,omitempty"`
	// Schedule is the schedule in words, empty without one; Paused reports whether it is.
	Schedule string `json:"schedule,omitempty"`
	Paused   bool   `json:"paused,omitempty"`
	// Next is the next scheduled start, zero if there is none. NextText is the same in the
	// time zone of the schedule.
	Next     time.Time `json:"next,omitzero"`
	NextText string    `json:"nextText,omitempty"`
	// Late says that the run is overdue or slow, empty if neither.
	Late string `json:"late,omitempty"`
	// Problem says that a part of this could not be read, empty if all was.
	Problem string `json:"problem,omitempty"`
}

// OverviewWait is what a run waits for.
type OverviewWait struct {
	Segment  string    `json:"segment,omitempty"` // empty if the whole run waits
	Message  string    `json:"message"`
	Since    time.Time `json:"since"`
	Commands []string  `json:"commands"`
}

// UnderWay reports whether a run is under way.
func (e ExportOverview) UnderWay() bool {
	return e.State == schemas.StateRunning || e.State == schemas.StateWaiting || e.State == schemas.StateAwaitingData
}

// Last returns the last run, or nil if there is none.
func (p PastRuns) Last() *PastRun {
	if len(p.Runs) == 0 {
		return nil
	}
	return &p.Runs[len(p.Runs)-1]
}
