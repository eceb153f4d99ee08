package schemas

import "time"

// Retention is how long the data root keeps reports and rejects, in days from the run's
// end; 0 keeps them forever.
type Retention struct {
	// ReportDays is for reports, which hold names and counts; nil is DefaultReportDays.
	ReportDays *int `json:"reportDays,omitempty"`
	// RejectDays is for rejected rows and the examples of checks, which hold personal
	// data; nil is DefaultRejectDays.
	RejectDays *int `json:"rejectDays,omitempty"`
}

// Defaults of Retention: rejects for about as long as it takes to correct a segment, reports
// for long enough to compare a year with the one before.
const (
	DefaultReportDays = 400
	DefaultRejectDays = 30
)

// Reports returns how long reports are kept; 0 is forever.
func (r Retention) Reports() time.Duration { return days(r.ReportDays, DefaultReportDays) }

// Rejects returns how long rejects are kept; 0 is forever.
func (r Retention) Rejects() time.Duration { return days(r.RejectDays, DefaultRejectDays) }

// SweepResult counts what a sweep has deleted.
type SweepResult struct {
	// Staged counts segments whose staged data was deleted; Rejects and Reports count runs.
	Staged  int `json:"staged"`
	Rejects int `json:"rejects"`
	Reports int `json:"reports"`
	// Unfinished counts partly written files and folders.
	Unfinished int `json:"unfinished"`
}

func days(n *int, otherwise int) time.Duration {
	if n != nil {
		otherwise = *n
	}
	return time.Duration(otherwise) * 24 * time.Hour
}
