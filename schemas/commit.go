package schemas

import (
	"strconv"
	"time"
)

// CommitInput is the input of CommitSnapshot.
type CommitInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"`
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Info       SegmentInfo    `json:"info"`
	Report     ExportReport   `json:"report"`
	// ListOwner is the list's ListRef.Owner.
	ListOwner string `json:"listOwner,omitempty"`
}

// CloseInput is the input of CloseRun, which cleans up after a run that ended before its
// snapshot was published.
type CloseInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"`
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Report     ExportReport   `json:"report"`
	// Check deletes the staged files and nothing else.
	Check bool `json:"check,omitempty"`
}

// States of a run or of one segment of it.
const (
	StateRunning = "running"
	StateWaiting = "waiting"
	// StateAwaitingData is that of a segment whose data is not complete. It continues by
	// itself.
	StateAwaitingData = "waiting for data"
	// StateUpstream is that of an export of a refresh before those that it is after have
	// ended.
	StateUpstream  = "waiting for upstream"
	StateDone      = "done"
	StateFailed    = "failed"
	StateAborted   = "aborted"
	StateCancelled = "cancelled"
	// StateSkipped is that of a scheduled start that started no run, and of a segment
	// whose data did not get ready (ThenSkip).
	StateSkipped = "skipped"
	// StateKept is that of a list whose value has vanished and that a run leaves as it is
	// (VanishedKeep).
	StateKept = "kept"
)

// ExportReport is what one segment's run did.
type ExportReport struct {
	Connection string `json:"connection,omitempty"`
	Export     string `json:"export"`
	RunID      string `json:"runId"`
	Segment    string `json:"segment"`
	State      string `json:"state"`
	// Error is why the state is not "done".
	Error string `json:"error,omitempty"`

	ListID      int64 `json:"listId"`
	ListCreated bool  `json:"listCreated,omitempty"`
	// ListSize is the size that the list should have after the upload.
	ListSize int64 `json:"listSize"`
	// Members is how many members the run knows to be on the list.
	Members int64 `json:"members"`

	Info SegmentInfo `json:"info"`

	// Check is set in the report of a check.
	Check *CheckResult `json:"check,omitempty"`

	Manifest Manifest     `json:"manifest"`
	Upload   UploadCounts `json:"upload"`
	// Divided is set in the report of a divided segment, which has lists and no members. Each
	// list has a report too, in which Of is the segment's name.
	Divided *Divided `json:"divided,omitempty"`
	Of      string   `json:"of,omitempty"`
	// StartedOver is how often the run began again from its first step, and StartedOverFor is
	// the problem for which it did so the last time. Earlier adds up what was sent before
	// that. Upload does not count it.
	StartedOver    int          `json:"startedOver,omitempty"`
	StartedOverFor string       `json:"startedOverFor,omitempty"`
	Earlier        UploadCounts `json:"earlier,omitzero"`

	// Rejected adds up what staging and Iterable refused.
	Rejected map[Reason]int64 `json:"rejected,omitempty"`
	// Rejects is the key of the rejects file in the data root, empty where no
	// row was rejected.
	Rejects string `json:"rejects,omitempty"`
	// Record is the key of the file with what became of each row, empty where none is kept.
	Record   string   `json:"record,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	// Answers are the waits of the segment that were answered, in order.
	Answers []Answered `json:"answers,omitempty"`

	StartedAt time.Time `json:"startedAt,omitzero"`
	// FinishedAt is zero until the run has ended.
	FinishedAt time.Time `json:"finishedAt,omitzero"`
}

// Restarts returns in words how often the run started over and why, empty if it did not.
func (r ExportReport) Restarts() string {
	often := strconv.Itoa(r.StartedOver) + " times"
	switch r.StartedOver {
	case 0:
		return ""
	case 1:
		often = "once"
	case 2:
		often = "twice"
	}
	text := "the run started over " + often
	if r.StartedOverFor != "" { // reports of the first versions do not have it
		text += "; the last time because of this: " + r.StartedOverFor
	}
	return text
}

// AddRejects makes Rejected the sum of what staging rejected and Iterable refused.
func (r *ExportReport) AddRejects() {
	r.Rejected = map[Reason]int64{}
	for _, counts := range []map[Reason]int64{r.Manifest.Rejected, r.Upload.Refused} {
		for reason, n := range counts {
			r.Rejected[reason] += n
		}
	}
}
