package schemas

import "time"

// Retention is how long the data root keeps what people may want to look up after
// a run, in days from the run's end; 0 keeps it for ever.
type Retention struct {
	// ReportDays is for reports, which hold names and counts; nil is
	// DefaultReportDays.
	ReportDays *int `json:"reportDays,omitempty"`
	// RejectDays is for the rows that were not sent and the examples of checks,
	// which hold people's data; nil is DefaultRejectDays.
	RejectDays *int `json:"rejectDays,omitempty"`
}

// Defaults of Retention: rejects for about as long as somebody corrects a segment,
// reports for as long as a year is compared with the last one.
const (
	DefaultReportDays = 400
	DefaultRejectDays = 30
)

// Reports is how long reports are kept, 0 for ever.
func (r Retention) Reports() time.Duration { return days(r.ReportDays, DefaultReportDays) }

// Rejects is how long rejects are kept, 0 for ever.
func (r Retention) Rejects() time.Duration { return days(r.RejectDays, DefaultRejectDays) }

func days(n *int, otherwise int) time.Duration {
	if n != nil {
		otherwise = *n
	}
	return time.Duration(otherwise) * 24 * time.Hour
}
