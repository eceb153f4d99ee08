package schemas

import (
	"fmt"
	"time"
)

// LateRuns is the result of FindLateRuns. Each look begins with the result of the one before.
type LateRuns struct {
	LookedAt time.Time `json:"lookedAt"`
	// Exports has the exports with an active schedule, and those that are after them, by name.
	Exports map[string]Watched `json:"exports,omitempty"`
	// Found is what this look found that the one before did not.
	Found []LateRun `json:"found,omitempty"`
}

// Watched is what is known of the runs of one export.
type Watched struct {
	// Timing is that of the schedule that starts the export's runs: its own, or that of an
	// export that it is after.
	Timing Timing `json:"timing"`
	// Due is the scheduled start whose run has to begin next.
	Due time.Time `json:"due,omitzero"`
	// Overdue is the scheduled start whose run did not begin in time, until a run that began
	// later is done.
	Overdue time.Time `json:"overdue,omitzero"`
	// Slow is the ID of the run that takes unusually long.
	Slow string `json:"slow,omitempty"`
	// Since and Until are two scheduled starts, one after the other. A run has to be done
	// after Since, and not long after Until. Undone is set if none was, until one is.
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until,omitzero"`
	Undone bool      `json:"undone,omitempty"`
}

// LateUndone is the reason of the metric export_late for an export that is Undone. Its event is
// EventOverdue.
const LateUndone = "undone"

// LateRun is an event of an export: EventOverdue, EventSlow or EventRecovered.
type LateRun struct {
	Event  string   `json:"event"`
	Export string   `json:"export"`
	Late   Lateness `json:"late"`
	// Connection and Notify are the export's.
	Connection string   `json:"connection"`
	Notify     []Notify `json:"notify,omitempty"`
}

// Lateness has the times of a LateRun.
type Lateness struct {
	// RunID is the run that is slow, began late, or is done.
	RunID string `json:"runId,omitempty"`
	// Due is the scheduled start that was missed; Began is when its run began, zero if it
	// did not.
	Due   time.Time `json:"due,omitzero"`
	Began time.Time `json:"began,omitzero"`
	// Upstream is set if the run was not started, because an export that its export is after
	// was not done.
	Upstream bool `json:"upstream,omitempty"`
	// Undone is set if no run was done for the whole interval that began at Due.
	Undone bool `json:"undone,omitempty"`
	// Takes is how long the slow run is under way, and Longest the longest of the last ones.
	Takes   Duration `json:"takes,omitempty"`
	Longest Duration `json:"longest,omitempty"`
}

// LateTime is the format of times in messages about late runs, in UTC.
const LateTime = "2 Jan 2006 15:04 UTC"

// Message returns an event in words. Times are in UTC.
func (l Lateness) Message(event string) string {
	switch {
	case event == EventSlow:
		return fmt.Sprintf("the run takes unusually long: %s until now; the longest of the last ones took %s",
			time.Duration(l.Takes).Round(time.Second), time.Duration(l.Longest).Round(time.Second))
	case event == EventRecovered:
		return "a run is done again"
	case l.Upstream:
		return fmt.Sprintf("the run that was due after others at %s was not started, because one of those was not done", l.Due.UTC().Format(LateTime))
	case l.Undone:
		return undoneSince(l.Due)
	case l.Began.IsZero():
		return fmt.Sprintf("the run that was due at %s has not begun", l.Due.UTC().Format(LateTime))
	default:
		return fmt.Sprintf("the run that was due at %s began only at %s", l.Due.UTC().Format(LateTime), l.Began.UTC().Format(LateTime))
	}
}

func undoneSince(due time.Time) string {
	return fmt.Sprintf("a run was due at %s, and none has been done since then", due.UTC().Format(LateTime))
}

// Commands returns what to type.
func (l Lateness) Commands(event, export string) []string {
	switch {
	case event == EventRecovered:
		return nil
	case l.Upstream:
		return []string{"starter runs " + ShellWord(export), "starter run " + ShellWord(export)}
	case l.Undone:
		return []string{"starter runs " + ShellWord(export)}
	case l.RunID != "":
		return []string{"starter status " + l.RunID}
	}
	return []string{"starter doctor", "starter run " + ShellWord(export)}
}

// Late says in words that a run is overdue, not done or slow, empty if none of these.
func (w Watched) Late() string {
	switch {
	case !w.Overdue.IsZero():
		return fmt.Sprintf("%s: the run that was due at %s did not begin in time", EventOverdue, w.Overdue.UTC().Format(LateTime))
	case w.Undone:
		return EventOverdue + ": " + undoneSince(w.Since)
	case w.Slow != "":
		return EventSlow + ": its run takes unusually long"
	}
	return ""
}
