package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Timing says when runs start: by Cron, or by Every with At, On and Dates. Package
// internal/timing checks it and puts it into words.
type Timing struct {
	// Cron has cron expressions of five fields: minute, hour, day of month, month, day of
	// week; or @hourly, @daily, @weekly, @monthly, @yearly or @every 6h. Runs start when
	// any of them matches.
	Cron OneOrMore `json:"cron,omitempty"`
	// Every is "day", or an interval that divides the day, such as 6h. Intervals are counted
	// from midnight UTC.
	Every string `json:"every,omitempty"`
	// At has the times of the day, such as 04:00; On the days of the week, such as mon;
	// Dates the days of the month. With On and Dates a day has to match both. Default: every
	// day.
	At    OneOrMore `json:"at,omitempty"`
	On    OneOrMore `json:"on,omitempty"`
	Dates []int     `json:"dates,omitempty"`
	// TimeZone is the IANA name of the zone of all of the above; default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// Jitter is the most by which a start is delayed, at random.
	Jitter Duration `json:"jitter,omitempty"`
	// CatchUp is how late a start that Temporal missed may be made up for; default
	// DefaultCatchUp.
	CatchUp Duration `json:"catchUp,omitempty"`
}

// OneOrMore is a list of texts. In JSON a list of one may be the text itself.
type OneOrMore []string

// MarshalJSON writes the text or the list.
func (o OneOrMore) MarshalJSON() ([]byte, error) {
	if len(o) == 1 {
		return json.Marshal(o[0])
	}
	return json.Marshal([]string(o))
}

// UnmarshalJSON reads a text or a list.
func (o *OneOrMore) UnmarshalJSON(data []byte) error {
	*o = nil
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(o))
	}
	var one string
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*o = OneOrMore{one}
	return nil
}

// DefaultCatchUp is the default of Timing.CatchUp. An hour bridges an upgrade of
// Temporal, and does not start last night's refresh in the working day.
const DefaultCatchUp = time.Hour

// LeastCatchUp is the least Timing.CatchUp. Temporal uses it in place of less (MinCatchupWindow
// of its scheduler).
const LeastCatchUp = 10 * time.Second

// Words that a Schedule may be.
const (
	ScheduleRefresh = "refresh"
	ScheduleOff     = "off"
)

// Schedule is the word "refresh" (the default: the export follows the system's
// scheduled refresh), the word "off", or a timing of the export's own.
type Schedule struct {
	Off bool
	Own *Timing
}

// IsZero reports whether the export follows the system's scheduled refresh.
func (s Schedule) IsZero() bool { return !s.Off && s.Own == nil }

// MarshalJSON writes the word or the timing.
func (s Schedule) MarshalJSON() ([]byte, error) {
	switch {
	case s.Own != nil:
		return json.Marshal(s.Own)
	case s.Off:
		return json.Marshal(ScheduleOff)
	default:
		return json.Marshal(ScheduleRefresh)
	}
}

// UnmarshalJSON reads a word or a timing.
func (s *Schedule) UnmarshalJSON(data []byte) error {
	*s = Schedule{}
	switch data = bytes.TrimSpace(data); {
	case bytes.Equal(data, []byte(`"`+ScheduleRefresh+`"`)):
		return nil
	case bytes.Equal(data, []byte(`"`+ScheduleOff+`"`)):
		s.Off = true
		return nil
	case len(data) > 0 && data[0] == '{':
		s.Own = &Timing{}
		return json.Unmarshal(data, s.Own)
	default:
		return fmt.Errorf(`schedule must be the word "refresh" or "off", or a schedule of its own: {cron, …} or {every, at, …}`)
	}
}

// Timing returns the timing that an export of the file follows, and false if it has none:
// it is started by hand, or after other exports.
func (e Exports) Timing(export Export) (Timing, bool) {
	switch {
	case export.Schedule.Off, len(export.After) > 0:
		return Timing{}, false
	case export.Schedule.Own != nil:
		return *export.Schedule.Own, true
	case e.Refresh != nil:
		return *e.Refresh, true
	default:
		return Timing{}, false
	}
}

// ScheduledInput is what a schedule starts ScheduledRun or Refresh with. It is the only record of an applied export.
type ScheduledInput struct {
	Export Export `json:"export"`
	Grant  *Grant `json:"grant,omitempty"`
	// Timing is the source of the schedule, or nil if the export is only started by hand or
	// after others. Temporal returns a schedule's times in another form.
	Timing *Timing `json:"timing,omitempty"`
	// Followers are the exports that are After this one, sorted. The grant does not cover
	// them: each has a grant of its own.
	Followers []string `json:"followers,omitempty"`
	// Held reports whether an export with Followers is paused: its schedule goes on, and starts
	// refreshes that leave it out.
	Held bool `json:"held,omitempty"`
}

// ScheduledStart starts ScheduledRun. A schedule starts it with a ScheduledInput.
type ScheduledStart struct {
	ScheduledInput
	// By is the By of the RefreshInput.
	By string `json:"by,omitempty"`
	// Skip is why a Refresh starts no run, which is only recorded; otherwise empty.
	Skip string `json:"skip,omitempty"`
	// Overdue is when the run was due that Skip is about, if those who want to know of late
	// runs are told.
	Overdue time.Time `json:"overdue,omitzero"`
}

// ScheduledResult is what ScheduledRun returns.
type ScheduledResult struct {
	// Skipped is why no run was started, or empty.
	Skipped string     `json:"skipped,omitempty"`
	Run     *RunResult `json:"run,omitempty"`
}

// Keys of the memos of runs.
const (
	// MemoTrigger holds a run's Trigger.
	MemoTrigger = "trigger"
	// MemoKey holds the idempotency key of a start.
	MemoKey = "key"
	// MemoSkipped holds the ScheduledResult's Skipped.
	MemoSkipped = "skipped"
	// MemoOverdue holds the ScheduledStart's Overdue.
	MemoOverdue = "overdue"
)
