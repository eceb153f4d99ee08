package schemas

import "time"

// FindRequest asks where a person is. It travels in the body of a request, never in a URL.
type FindRequest struct {
	// Person is an address or a user ID.
	Person string `json:"person"`
	// History also reads the records of the rows of past runs.
	History bool `json:"history,omitempty"`
}

// Found is where a person is, by the data root.
type Found struct {
	// Lists are those that exports have put the person on.
	Lists []FoundList `json:"lists"`
	// Rows are what became of the person in past runs, the newest first.
	Rows []FoundRow `json:"rows,omitempty"`
	// Snapshots and Records are how many files were searched; Reads and Bytes what was read of
	// them.
	Snapshots int   `json:"snapshots"`
	Records   int   `json:"records,omitempty"`
	Reads     int64 `json:"reads"`
	Bytes     int64 `json:"bytes"`
	// Unfinished counts the runs that may have added the person and are not in a snapshot yet.
	Unfinished int `json:"unfinished,omitempty"`
	// Unreadable are the keys of files that could not be searched.
	Unreadable []string `json:"unreadable,omitempty"`
}

// FoundList is a list with a person on it.
type FoundList struct {
	Connection string `json:"connection"`
	Export     string `json:"export"`
	Segment    string `json:"segment"`
	ListID     int64  `json:"listId"`
	// Unconfirmed is set if Iterable did not answer the request that added the person.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// RunID is the run that last changed the list, and At when it did.
	RunID string    `json:"runId"`
	At    time.Time `json:"at"`
}

// FoundRow is a row of a record.
type FoundRow struct {
	Connection string `json:"connection"`
	Export     string `json:"export"`
	Segment    string `json:"segment"`
	RunID      string `json:"runId"`
	// At is when Iterable answered, or when the run ended.
	At      time.Time `json:"at"`
	Outcome Outcome   `json:"outcome"`
	Reason  Reason    `json:"reason,omitempty"`
}
