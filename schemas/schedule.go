package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Timing says when runs start.
type Timing struct {
	// Cron is a cron expression as Temporal understands it: minute, hour, day of
	// month, month, day of week, optionally a year after them and a second before
	// them; or @hourly, @daily, @weekly, @monthly, @yearly or @every 6h.
	Cron string `json:"cron"`
	// TimeZone is the IANA name of the zone that Cron is meant in; default UTC.
	TimeZone string `json:"timeZone,omitempty"`
	// Jitter is the most by which a start is delayed, at random.
	Jitter Duration `json:"jitter,omitempty"`
	// CatchUp is how late a start that Temporal missed may be made up for; default
	// DefaultCatchUp.
	CatchUp Duration `json:"catchUp,omitempty"`
}

// DefaultCatchUp is the default of Timing.CatchUp. An hour bridges an upgrade of
// Temporal, and does not start last night's refresh in the working day.
const DefaultCatchUp = time.Hour

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
		return fmt.Errorf(`schedule must be the word "refresh" or "off", or {cron, timeZone, jitter, catchUp}`)
	}
}

// Timing returns the timing that an export of the file follows, and false if it has none
// and is only started by hand.
func (e Exports) Timing(export Export) (Timing, bool) {
	switch {
	case export.Schedule.Off:
		return Timing{}, false
	case export.Schedule.Own != nil:
		return *export.Schedule.Own, true
	case e.Refresh != nil:
		return *e.Refresh, true
	default:
		return Timing{}, false
	}
}

// ScheduledInput starts ScheduledRun. It is the only record of an applied export.
type ScheduledInput struct {
	Export Export `json:"export"`
	Grant  *Grant `json:"grant,omitempty"`
	// Timing is the source of the schedule, or nil if the export is only started by hand.
	// Temporal returns a schedule's times in another form.
	Timing *Timing `json:"timing,omitempty"`
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
)
