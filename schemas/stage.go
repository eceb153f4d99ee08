package schemas

import "time"

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
	// Kept is set for the list of a divided segment that no row is for and that keeps its members.
	// Only suppressed ones are removed.
	Kept bool `json:"kept,omitempty"`
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
	// Before is the number of entries when a run over the connection was last done, 0 where there
	// was none.
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
