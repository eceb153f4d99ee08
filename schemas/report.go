package schemas

import (
	"path"
	"time"
)

// Files of a run's report in the data root, beside each segment's ReportFile.
const (
	PaceFile      = "pace.json"   // a segment's []PaceSample
	RunReportFile = "report.html" // the readable report of a whole run
)

// RunReport returns the key of a run's readable report.
func RunReport(connection, export, runID string) string {
	return path.Join(RunDir(connection, export, runID), RunReportFile)
}

// PaceDir returns the folder of the pace samples of one segment's run, one file for each
// attempt at a chunk.
func PaceDir(run RunRef) string { return path.Join(StagingDir(run), "pace") }

// PaceSample counts one interval of an upload.
type PaceSample struct {
	// At is the start of the interval, Seconds its length.
	At      time.Time `json:"at"`
	Seconds int       `json:"seconds"`
	// Requests counts every HTTP request, repeated ones included; Throttled those
	// answered 429, Failed those that had to be repeated for another reason.
	Requests  int64 `json:"requests"`
	Throttled int64 `json:"throttled,omitempty"`
	Failed    int64 `json:"failed,omitempty"`
	// Profiles counts those whose requests were acknowledged.
	Profiles int64 `json:"profiles"`
}

// RunReportInput is the input of WriteRunReport.
type RunReportInput struct {
	Export  Export  `json:"export"`
	Trigger Trigger `json:"trigger"`
	// Connection is what the run used.
	Connection ConnectionInfo `json:"connection"`
	// State is the run's.
	State     string    `json:"state"`
	StartedAt time.Time `json:"startedAt"`
	Result    RunResult `json:"result"`
}
