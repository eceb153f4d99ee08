package people

import (
	"fmt"
	"time"

	"iterable-segment-export/schemas"
)

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
	// NotOn has, for each list that has not got the person, what became of them in the newest run
	// whose record has them. Unexplained counts the lists without the person of which no record says
	// why: none has the person, or the newest says that they were on the list. Both need the records,
	// and leave out lists that could not be searched.
	NotOn       []FoundRow `json:"notOn,omitempty"`
	Unexplained int        `json:"unexplained,omitempty"`
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
	// Since is the run that added the person, and LastSent when a run last added or updated them.
	// They are not set if no record that is kept has it. RecordsFrom is the end of the oldest run
	// whose record is kept, zero if there is none. All need the records.
	Since       *FoundRun `json:"since,omitempty"`
	LastSent    time.Time `json:"lastSent,omitzero"`
	RecordsFrom time.Time `json:"recordsFrom,omitzero"`
}

// FoundRun is when a run did something.
type FoundRun struct {
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
	At      time.Time       `json:"at"`
	Outcome schemas.Outcome `json:"outcome"`
	Reason  schemas.Reason  `json:"reason,omitempty"`
	// Column is the column at fault, or the columns whose values were left out.
	Column string `json:"column,omitempty"`
}

// ForgetRequest asks to remove a person from the data root. It travels in the body of a request,
// never in a URL.
type ForgetRequest struct {
	// Person is an address or a user ID.
	Person string `json:"person"`
	// Preview removes nothing, and returns what would be removed.
	Preview bool `json:"preview,omitempty"`
}

// ForgetAnswer is what was removed of a person, or would be.
type ForgetAnswer struct {
	// Lists are those that the person may still be on in Iterable: exports no longer know that
	// they have put them there.
	Lists []FoundList `json:"lists"`
	// Files are those of which rows were removed.
	Files []ForgottenIn `json:"files"`
	// Searched is how many files were read.
	Searched int `json:"searched"`
	// Unfinished are the runs with files that were not searched, since they may still change.
	Unfinished []UnfinishedRun `json:"unfinished,omitempty"`
	// Unreadable are the keys of files or folders that could not be searched, or not be rewritten.
	Unreadable []string `json:"unreadable,omitempty"`
	// Interrupted is why the rest was not searched; "" if all was.
	Interrupted string `json:"interrupted,omitempty"`
}

// Complete reports whether nothing of the person is left.
func (a ForgetAnswer) Complete() bool {
	return len(a.Unfinished)+len(a.Unreadable) == 0 && a.Interrupted == ""
}

// mostNamed is how many lists a Summary names.
const mostNamed = 50

// Summary returns the counts, and the numbers of the lists, which nothing else has once the person
// is removed.
func (a ForgetAnswer) Summary() string {
	var rows int64
	for _, f := range a.Files {
		rows += f.Rows
	}
	text := fmt.Sprintf("%d rows of %d files removed, %d lists", rows, len(a.Files), len(a.Lists))
	for i, l := range a.Lists[:min(len(a.Lists), mostNamed)] {
		text += fmt.Sprintf("%s%d", []string{" (", ", "}[min(i, 1)], l.ListID)
	}
	if n := len(a.Lists); n > mostNamed {
		text += ", …"
	}
	if len(a.Lists) > 0 {
		text += ")"
	}
	text += fmt.Sprintf("; %d unfinished runs and %d unreadable files not searched", len(a.Unfinished), len(a.Unreadable))
	if a.Interrupted != "" {
		text += "; interrupted"
	}
	return text
}

// Kinds of files with people.
const (
	KindSnapshot = "snapshot"
	KindRecord   = "record"
	KindRejects  = "rejects"
	KindExamples = "examples" // of a check
)

// ForgottenIn is a file of which rows of a person were removed.
type ForgottenIn struct {
	// Kind is one of the Kind constants.
	Kind string `json:"kind"`
	// File is the key in the data root.
	File string `json:"file"`
	// The names are empty where the data root does not have them.
	Connection string `json:"connection,omitempty"`
	Export     string `json:"export,omitempty"`
	Segment    string `json:"segment,omitempty"`
	RunID      string `json:"runId,omitempty"`
	// Rows is how many rows or members were removed. Others is how many of them had an address
	// or a user ID besides the one that was asked for.
	Rows   int64 `json:"rows"`
	Others int64 `json:"others,omitempty"`
}

// UnfinishedRun is a run of a segment that has not finished.
type UnfinishedRun struct {
	Connection string `json:"connection,omitempty"`
	Export     string `json:"export,omitempty"`
	Segment    string `json:"segment,omitempty"`
	RunID      string `json:"runId,omitempty"`
	// Folder is its folder in the data root.
	Folder string `json:"folder"`
}
