package schemas

import "time"

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
