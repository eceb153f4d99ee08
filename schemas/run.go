package schemas

import (
	"slices"
	"time"
)

// RunRef names one segment's part of a run; every file of the data root that
// the run writes is found by it.
type RunRef struct {
	// Connection is the one that the export's name belongs to.
	Connection string `json:"connection"`
	Export     string `json:"export"`
	// RunID is the id of the RunExport execution.
	RunID   string `json:"runId"`
	Segment string `json:"segment"`
	// Deadline is how long an activity of the run may fail before the run waits for an
	// operator; 0 is forever.
	Deadline Duration `json:"deadline,omitempty"`
}

// Trigger says what started a run.
type Trigger struct {
	// Kind is TriggerPerson, TriggerSchedule or TriggerEvent.
	Kind string `json:"kind"`
	// Who is the person, or what sent the event.
	Who string `json:"who,omitempty"`
}

// Kinds of a Trigger.
const (
	TriggerPerson   = "person"
	TriggerSchedule = "schedule"
	TriggerEvent    = "event"
)

// Starter returns who or what started the run, in words.
func (t Trigger) Starter() string {
	if t.Who != "" {
		return t.Who
	}
	return "a " + t.Kind
}

// RunInput starts RunExport.
type RunInput struct {
	Export  Export  `json:"export"`
	Trigger Trigger `json:"trigger"`
	// Full ignores the snapshots and sends all profiles.
	Full bool `json:"full,omitempty"`
	// Check sends nothing and changes nothing, and reports what a run would do.
	Check bool `json:"check,omitempty"`
	// AwaitData makes a run that a person starts wait for its data as a scheduled one does,
	// and for files that do not exist yet.
	AwaitData bool `json:"awaitData,omitempty"`
	// Grant covers all of the above; nil if runs need none.
	Grant *Grant `json:"grant,omitempty"`
}

// SegmentProgress is the state of one segment of a run.
type SegmentProgress struct {
	Segment    string `json:"segment"`
	WorkflowID string `json:"workflowId"`
	State      string `json:"state"`
}

// RunProgress is the answer of RunExport to QueryProgress.
type RunProgress struct {
	Export   string            `json:"export"`
	RunID    string            `json:"runId"`
	Trigger  Trigger           `json:"trigger"`
	State    string            `json:"state"`
	Waiting  *Waiting          `json:"waiting,omitempty"`
	Segments []SegmentProgress `json:"segments,omitempty"`
	Answers  []Answered        `json:"answers,omitempty"`
	Result   *RunResult        `json:"result,omitempty"`
}

// RunResult is what RunExport returns.
type RunResult struct {
	Connection string         `json:"connection,omitempty"`
	Export     string         `json:"export"`
	RunID      string         `json:"runId"`
	Segments   []ExportReport `json:"segments"`
	// Answers are the waits of the run as a whole that were answered, in order.
	Answers []Answered `json:"answers,omitempty"`
	// Report is the key of the readable report in the data root.
	Report string `json:"report,omitempty"`
}

// Skipped returns how many segments were skipped because their data was not ready.
func (r RunResult) Skipped() (n int) {
	for _, s := range r.Segments {
		if s.State == StateSkipped {
			n++
		}
	}
	return n
}

// State returns the state of a run that ended in state as far as its segments count: a run
// that is done, but has skipped every segment, is skipped.
func (r RunResult) State(state string) string {
	if state == StateDone && len(r.Segments) > 0 && r.Skipped() == len(r.Segments) {
		return StateSkipped
	}
	return state
}

// SegmentInput starts ExportSegment.
type SegmentInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"` // with Segments left out
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Full       bool           `json:"full,omitempty"`
	Check      bool           `json:"check,omitempty"`
	// Scheduled is set if no person has started the run.
	Scheduled bool `json:"scheduled,omitempty"`
	// AwaitData is the RunInput's.
	AwaitData bool `json:"awaitData,omitempty"`
	// SearchAttributes is set if the run may set them.
	SearchAttributes bool `json:"searchAttributes,omitempty"`
	// Warnings are of the run as a whole.
	Warnings []string `json:"warnings,omitempty"`
	// Resume is set when the run continues in a new execution, with a fresh history.
	Resume *SegmentResume `json:"resume,omitempty"`
	// Part is set if the segment is a part of a divided one.
	Part *PartInput `json:"part,omitempty"`
}

// SegmentResume is where a long upload continues in a new execution.
type SegmentResume struct {
	Report ExportReport `json:"report"`
	Info   SegmentInfo  `json:"info"`
	List   ListRef      `json:"list"`
	// Fields are the mapped fields.
	Fields []MappedField `json:"fields,omitempty"`
	// Removed and Added are the batches of removes.arrow and adds.arrow that
	// are done.
	Removed int `json:"removed"`
	Added   int `json:"added"`
}

// Answer is the argument of the updates of a waiting run.
type Answer struct {
	// Wait is the ID of the wait that is answered.
	Wait string `json:"wait,omitempty"`
	// Who returns the answer.
	Who string `json:"who,omitempty"`
}

// AuthorizeInput asks whether a run may use its connection.
type AuthorizeInput struct {
	// RunID is the id of the first execution of the run, Input what it was started
	// with.
	RunID string   `json:"runId"`
	Input RunInput `json:"input"`
}

// AuthorizeResult is what a worker knows of a run's connection.
type AuthorizeResult struct {
	Connection ConnectionInfo `json:"connection"`
	// SearchAttributes is set if the namespace has the project's search attributes; a run
	// that set unknown ones would be stuck.
	SearchAttributes bool `json:"searchAttributes,omitempty"`
	// Lists are the IDs of the segments' lists in the last runs, in the order of the
	// segments, or 0. They are for display only.
	Lists []int64 `json:"lists,omitempty"`
}

// ServedInput asks whether any worker serves a connection.
type ServedInput struct {
	Connection string `json:"connection"`
}

// ServedResult is the answer; Why is why none does.
type ServedResult struct {
	Served bool   `json:"served"`
	Why    string `json:"why,omitempty"`
}

// ForgottenInput asks for the profiles that a project has forgotten.
type ForgottenInput struct {
	Run        RunRef         `json:"run"` // without a segment
	Connection ConnectionInfo `json:"connection"`
}

// ForgottenResult counts them. Their hashes stay in the data root.
type ForgottenResult struct {
	People  int64  `json:"people"`
	Warning string `json:"warning,omitempty"`
}

// InspectInput is the input of InspectSegment.
type InspectInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"`
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	// Wanted says what the data must be like; nil accepts any.
	Wanted *Wanted `json:"wanted,omitempty"`
	// Began is when the segment's run began: the "now" of its condition.
	Began time.Time `json:"began,omitzero"`
}

// SegmentInfo is the content of a segment's footers.
type SegmentInfo struct {
	Files     int   `json:"files"`
	RowGroups int   `json:"rowGroups"`
	Bytes     int64 `json:"bytes"`
	// Rows is -1 if a file has no footer (Arrow streams).
	Rows int64 `json:"rows"`
	// Fingerprint changes when any file's name, size, modification time or
	// footer does.
	Fingerprint string `json:"fingerprint"`
	// Table is the version of the table, or nil if the source is not a table.
	Table *TableVersion `json:"table,omitempty"`
	// Fields are the data fields that the mapping makes, in the order of their
	// columns.
	Fields []MappedField `json:"fields,omitempty"`
	// LookedAt is when the files were listed, by the worker's clock.
	LookedAt time.Time `json:"lookedAt,omitzero"`
	// Newest is when the newest file was written.
	Newest time.Time `json:"newest,omitzero"`
	// Leftovers describes files that a larger export has left behind, empty if there are
	// none.
	Leftovers string `json:"leftovers,omitempty"`
	// Unready is set if the data is not as Wanted; then nothing else is.
	Unready *Unready `json:"unready,omitempty"`
}

// TableVersion is the one version of a table that a run reads.
type TableVersion struct {
	Format  string `json:"format"`
	Version int64  `json:"version"`
}

// MappedField is a data field that a column is sent as, with the type that
// Iterable returns it if it has no field of that name yet.
type MappedField struct {
	// Column is the column's name in the segment.
	Column string `json:"column"`
	// Field is the field's name in Iterable, a path such as address.city inside
	// an object.
	Field string `json:"field"`
	// Type is "string", "long", "double", "boolean", "date" or "object", empty where only
	// the values decide.
	Type string `json:"type"`
}

// EnsureListInput is the input of EnsureList.
type EnsureListInput struct {
	Run        RunRef `json:"run"`
	Connection string `json:"connection"`
	// Host is the connection's API host when the run began.
	Host   string `json:"host,omitempty"`
	Name   string `json:"name"`
	ListID int64  `json:"listId,omitempty"`
	// Fields are compared with the fields that Iterable has.
	Fields []MappedField `json:"fields,omitempty"`
	// NewFields is the export's setting.
	NewFields string `json:"newFields,omitempty"`
	// Check changes nothing in Iterable.
	Check bool `json:"check,omitempty"`
	// Create creates the list if there is none.
	Create bool `json:"create,omitempty"`
	// TakeFrom is the message of an ErrorListOwned or ErrorListForeign that was approved: the list is handed
	// over to this export.
	TakeFrom string `json:"takeFrom,omitempty"`
}

// ListRef is a list in Iterable.
type ListRef struct {
	ID      int64 `json:"id"`
	Created bool  `json:"created,omitempty"`
	// Size is how many members the list had at the start of the run, -1 where that is
	// not known.
	Size int64 `json:"size"`
	// CreatedAt is when the list was made; zero where Iterable did not say.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// Owner names the record of which export fills the list.
	Owner string `json:"owner,omitempty"`
	// Ours is set if an earlier run of the export created the list.
	Ours bool `json:"ours,omitempty"`
	// Warnings are about mapped fields whose values Iterable may change; Clashes,
	// which only a check gets, about those that it refuses.
	Warnings []string `json:"warnings,omitempty"`
	Clashes  []string `json:"clashes,omitempty"`
	// NewFields are the mapped fields that Iterable does not have yet.
	NewFields []string `json:"newFields,omitempty"`
	// HandedOver is set if another export has just handed the list over to this run, and
	// Pause is how long that one may still be sending.
	HandedOver bool     `json:"handedOver,omitempty"`
	Pause      Duration `json:"pause,omitempty"`
}

// StageInput is the input of StageSegment.
type StageInput struct {
	Run        RunRef         `json:"run"`
	Export     Export         `json:"export"`
	Segment    Segment        `json:"segment"`
	Connection ConnectionInfo `json:"connection"`
	Info       SegmentInfo    `json:"info"`
	// Began is the InspectInput's.
	Began  time.Time `json:"began,omitzero"`
	ListID int64     `json:"listId"`
	// ListSize is how many members the list has, -1 where that is not known, and
	// ListOurs whether the export made it.
	ListSize int64 `json:"listSize,omitempty"`
	ListOurs bool  `json:"listOurs,omitempty"`
	// ListOwner is the list's ListRef.Owner.
	ListOwner string `json:"listOwner,omitempty"`
	// Full sends all profiles; IgnoreSnapshot stages as if there were no snapshot, so that
	// no member is removed.
	Full           bool `json:"full,omitempty"`
	IgnoreSnapshot bool `json:"ignoreSnapshot,omitempty"`
	// Check leaves the snapshot and its files unchanged, and keeps examples.
	Check bool `json:"check,omitempty"`
	// Divided is the PartInput's Attempt.
	Divided string `json:"divided,omitempty"`
}

// Manifest is what staging found and wrote. Counts are of rows unless stated otherwise.
type Manifest struct {
	Read       int64 `json:"read"`
	Duplicates int64 `json:"duplicates"`
	// Filtered counts rows that do not match the segment's condition, and Skipped which of
	// them were not even read. Read includes both.
	Filtered int64            `json:"filtered,omitempty"`
	Skipped  *Skipped         `json:"skipped,omitempty"`
	Rejected map[Reason]int64 `json:"rejected,omitempty"`
	// Suppressed counts rows of people who are on a suppression list of the connection, and
	// SuppressedRemovals the members that are removed for it, in every mode. Removals includes
	// these.
	Suppressed         int64 `json:"suppressed,omitempty"`
	SuppressedRemovals int64 `json:"suppressedRemovals,omitempty"`
	// UnconfirmedRemovals counts those of SuppressedRemovals that are not surely on the list,
	// and so are not Members: this export's request to add them got no answer, or the data root
	// was restored since.
	UnconfirmedRemovals int64 `json:"unconfirmedRemovals,omitempty"`
	// SuppressionLists are the suppression lists of the connection.
	SuppressionLists []SuppressionCount `json:"suppressionLists,omitempty"`
	// LeftOut counts values of mapped fields that can't be sent; the rest of the row is.
	LeftOut []LeftOut `json:"leftOut,omitempty"`

	// BytesRead is how much of the files' bytes (SegmentInfo.Bytes) was read, and
	// Reads in how many requests to the bucket, or reads from the disk.
	BytesRead int64 `json:"bytesRead,omitempty"`
	Reads     int64 `json:"reads,omitempty"`

	// Adds, Updates and Removals are what changed since the snapshot; Unchanged
	// is not sent. Without a snapshot every profile is an add.
	Adds      int64 `json:"adds"`
	Updates   int64 `json:"updates"`
	Removals  int64 `json:"removals"`
	Unchanged int64 `json:"unchanged"`

	// AddBatches and RemoveBatches are the requests to make.
	AddBatches    int `json:"addBatches"`
	RemoveBatches int `json:"removeBatches"`

	// Pace is how fast the upload is expected to be, by the connection's settings and by
	// what was learned of the project's limits.
	Pace *LearnedLimits `json:"pace,omitempty"`

	// Full is set if all profiles are sent. SentAgain is why all profiles on the list, or
	// without Full many, are sent although neither a person nor FullEvery requested it.
	Full      bool   `json:"full,omitempty"`
	SentAgain string `json:"sentAgain,omitempty"`
	// Handover names the handover of the list after which all profiles are sent, or is empty.
	Handover string `json:"handover,omitempty"`
	// Superseded counts members known by one identifier that are in the segment only under
	// another one, in a hybrid project; they are not removed.
	Superseded int64 `json:"superseded,omitempty"`

	// Forgotten counts members that were forgotten in Iterable since the last run: they are
	// on no list.
	Forgotten int64 `json:"forgotten,omitempty"`

	// Attempt names the folder of the staged files (StagedDir): each attempt at staging
	// writes its own.
	Attempt string `json:"attempt,omitempty"`
	// Snapshot is the run whose snapshot the segment was compared with, empty
	// where there was none to use; SnapshotVersion is its number.
	Snapshot        string `json:"snapshot,omitempty"`
	SnapshotVersion int64  `json:"snapshotVersion,omitempty"`
	// Members is how many profiles are surely on the list by that snapshot.
	Members int64 `json:"members,omitempty"`
	// UnconfirmedMembers is how many more profiles may be on the list by that snapshot.
	UnconfirmedMembers int64 `json:"unconfirmedMembers,omitempty"`
	// Unconfirmed is how many profiles that left the segment may be on the list, added by
	// a request whose answer an earlier run did not get. They are not removed.
	Unconfirmed int64 `json:"unconfirmed,omitempty"`
	// LastProfiles is how many profiles the segment had at that run, 0 where that is
	// not known.
	LastProfiles int64 `json:"lastProfiles,omitempty"`
	// Rejects is the key of the rejects file in the data root.
	Rejects string `json:"rejects,omitempty"`

	Warnings []string `json:"warnings,omitempty"`
}

// SuppressionCount is how many entries a suppression list has.
type SuppressionCount struct {
	Name    string `json:"name"`
	Entries int64  `json:"entries"`
	// Unreadable counts entries that should be an address and are not.
	Unreadable int64 `json:"unreadable,omitempty"`
	// Fingerprint identifies the files that were read.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Before is the number of entries at the last run that was done, 0 where there was none.
	Before int64 `json:"before,omitempty"`
}

// LeftOut is how many values of a column could not be sent for one reason, which
// completes a sentence that begins with "the value".
type LeftOut struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// Resent returns how many profiles are sent because of SentAgain, at most: without Full they
// include those with changed values.
func (m Manifest) Resent() int64 {
	switch {
	case m.SentAgain == "":
		return 0
	case m.Full:
		return m.Adds + m.Updates
	}
	return m.Updates
}

// MembersRemoved returns how many of Members are removed.
func (m Manifest) MembersRemoved() int64 { return m.Removals - m.UnconfirmedRemovals }

// Selected returns how many rows match the segment's condition.
func (m Manifest) Selected() int64 { return m.Read - m.Filtered }

// Profiles returns how many profiles of the segment can be sent, changed or not.
func (m Manifest) Profiles() int64 { return m.Adds + m.Updates + m.Unchanged }

// ToSend returns the number of profiles that go over the wire.
func (m Manifest) ToSend() int64 { return m.Adds + m.Updates + m.Removals }

// InspectProgress is the heartbeat of InspectSegment.
type InspectProgress struct {
	// Footers counts the files whose footer is read.
	Footers int64 `json:"footers"`
}

// StageProgress is the heartbeat of StageSegment.
type StageProgress struct {
	// Read counts the rows read so far.
	Read int64 `json:"read"`
}

// Kinds of UploadBatches.
const (
	Subscribe   = "subscribe"
	Unsubscribe = "unsubscribe"
)

// UploadInput asks for one chunk of batches to be sent.
type UploadInput struct {
	Run        RunRef         `json:"run"`
	Connection ConnectionInfo `json:"connection"`
	ListID     int64          `json:"listId"`
	// ListOwner is the list's ListRef.Owner.
	ListOwner string `json:"listOwner,omitempty"`
	// ListCreatedAt is when the list was made. For a while after that Iterable can
	// answer that it does not know the list.
	ListCreatedAt time.Time `json:"listCreatedAt,omitzero"`
	Settings      Settings  `json:"settings"`
	// Fields are the mapped fields, to say which column is at fault where Iterable names
	// a field.
	Fields []MappedField `json:"fields,omitempty"`
	// Kind is Subscribe (adds.arrow) or Unsubscribe (removes.arrow).
	Kind string `json:"kind"`
	// Attempt and SnapshotVersion are the manifest's.
	Attempt         string `json:"attempt,omitempty"`
	SnapshotVersion int64  `json:"snapshotVersion,omitempty"`
	// Suppression, after a wait for a person, is the manifest's SuppressionLists: nothing is
	// sent if one of them has changed since.
	Suppression []SuppressionCount `json:"suppression,omitempty"`
	// First and End bound the chunk: batches First to End-1.
	First int `json:"first"`
	End   int `json:"end"`
	// Resume is where an earlier try of this chunk stopped.
	Resume *UploadProgress `json:"resume,omitempty"`
}

// UploadCounts is what became of the batches sent so far. It is the result of
// UploadBatches, and part of its heartbeat.
type UploadCounts struct {
	// Requests counts every HTTP request, repeated ones included; Throttled
	// those answered 429; Failed those that had to be repeated for another
	// reason.
	Requests  int64 `json:"requests"`
	Throttled int64 `json:"throttled,omitempty"`
	Failed    int64 `json:"failed,omitempty"`
	// Sent counts accepted profiles, Removed members removed from the list.
	Sent    int64 `json:"sent"`
	Removed int64 `json:"removed,omitempty"`
	// Refused counts refused profiles.
	Refused map[Reason]int64 `json:"refused,omitempty"`
	// NotOnList counts members to remove that were no longer on the list.
	NotOnList int64 `json:"notOnList,omitempty"`
	// NotRemoved counts members that Iterable refused to remove. They stay in the snapshot,
	// so that the next run tries again.
	NotRemoved int64 `json:"notRemoved,omitempty"`
	// Unnamed counts failures that Iterable counted without naming the profiles.
	// The next run sends all profiles of those requests again.
	Unnamed int64 `json:"unnamed,omitempty"`
	// CreatedFields are the data fields that Iterable created, IgnoredFields those
	// that it left out.
	CreatedFields []string `json:"createdFields,omitempty"`
	IgnoredFields []string `json:"ignoredFields,omitempty"`
}

// Add adds the other counts.
func (c *UploadCounts) Add(o UploadCounts) {
	c.Requests += o.Requests
	c.Throttled += o.Throttled
	c.Failed += o.Failed
	c.Sent += o.Sent
	c.Removed += o.Removed
	c.NotOnList += o.NotOnList
	c.NotRemoved += o.NotRemoved
	c.Unnamed += o.Unnamed
	for r, n := range o.Refused {
		if c.Refused == nil {
			c.Refused = map[Reason]int64{}
		}
		c.Refused[r] += n
	}
	c.CreatedFields = with(c.CreatedFields, o.CreatedFields)
	c.IgnoredFields = with(c.IgnoredFields, o.IgnoredFields)
}

// Acknowledged counts the profiles that Iterable has answered for.
func (c UploadCounts) Acknowledged() int64 {
	n := c.Sent + c.Removed + c.NotOnList + c.NotRemoved + c.Unnamed
	for _, refused := range c.Refused {
		n += refused
	}
	return n
}

// with adds words to a list that are not in it yet.
func with(list, words []string) []string {
	for _, w := range words {
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// UploadProgress is the heartbeat of UploadBatches.
type UploadProgress struct {
	// Next is the lowest batch not yet acknowledged.
	Next int `json:"next"`
	// Done are the acknowledged batches above Next.
	Done   []int        `json:"done,omitempty"`
	Counts UploadCounts `json:"counts"`
	// Parts are the counts of batches that were sent in parts and are not yet acknowledged
	// as a whole. They are sent again, and counted in Counts then.
	Parts map[int]UploadCounts `json:"parts,omitempty"`
}

// All returns the counts with those of Parts.
func (p UploadProgress) All() (all UploadCounts) {
	all.Add(p.Counts)
	for _, c := range p.Parts {
		all.Add(c)
	}
	return all
}

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
	// StartedOver is how often the run began again from its first step, and Earlier adds
	// up what was sent before it did so for the last time. Upload does not count it.
	StartedOver int          `json:"startedOver,omitempty"`
	Earlier     UploadCounts `json:"earlier,omitzero"`

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

// AddRejects makes Rejected the sum of what staging rejected and Iterable refused.
func (r *ExportReport) AddRejects() {
	r.Rejected = map[Reason]int64{}
	for _, counts := range []map[Reason]int64{r.Manifest.Rejected, r.Upload.Refused} {
		for reason, n := range counts {
			r.Rejected[reason] += n
		}
	}
}

// Waiting describes what a run waits for.
type Waiting struct {
	// ID identifies this wait of this workflow execution. An answer must name it.
	ID      string    `json:"id"`
	Step    string    `json:"step"`
	Type    ErrorType `json:"type"`
	Message string    `json:"message"`
	// Answers are the updates that end the wait.
	Answers []string  `json:"answers"`
	Since   time.Time `json:"since"`
}

// Command returns the command that answers a waiting run; starter is the program's name.
func (w Waiting) Command(starter, export, answer string) string {
	return starter + " " + answer + " " + ShellWord(export) + " --wait " + w.ID
}

// Progress is the answer of ExportSegment to QueryProgress.
type Progress struct {
	Run     RunRef   `json:"run"`
	State   string   `json:"state"`
	Step    string   `json:"step"`
	Waiting *Waiting `json:"waiting,omitempty"`
	// Data is what the segment's run waits for, nil if its data is ready.
	Data *DataWait `json:"data,omitempty"`
	// Report holds what is known so far.
	Report ExportReport `json:"report"`
}
