package snapshot

import (
	"errors"
	"fmt"
	"time"
)

// Format is the version of the file format that this package writes, and the
// only one that it reads.
const Format = 2

// Why a snapshot can't be used. The run then sends all profiles and removes none.
var (
	// ErrCorrupt: the file is damaged, cut short, or no snapshot.
	ErrCorrupt = errors.New("the snapshot is damaged")
	// ErrForeign: the file belongs to another export, segment or connection, or
	// another version of the program wrote it.
	ErrForeign = errors.New("the snapshot is not this export's")
	// ErrListReplaced: the list in Iterable is not the one that the snapshot is of.
	ErrListReplaced = errors.New("the list in Iterable is another one than at the last run")
)

// Unfinished is appended to the RunID of a snapshot that holds what an unfinished run did, to
// distinguish it from the one that the run publishes at its end.
const Unfinished = " (unfinished)"

// Header describes a snapshot.
type Header struct {
	// Format is the version of the file format; the writer sets it.
	Format     int    `json:"format"`
	Export     string `json:"export"`
	Segment    string `json:"segment"`
	Connection string `json:"connection"`
	ListID     int64  `json:"listId"`
	// Mapping is the schemas.Export.MappingFingerprint of what was sent.
	Mapping string `json:"mapping"`
	// Fields are the names of the data fields that the mapping made, sorted; nil if they
	// are not known. With fields: all they depend on the segment's columns.
	Fields []string `json:"fields"`
	// RunID is the run that published the snapshot, at CreatedAt, and Attempt names the files
	// that it had staged.
	RunID     string    `json:"runId"`
	Attempt   string    `json:"attempt,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// FullAt is when a run last sent all profiles; zero is unknown.
	FullAt time.Time `json:"fullAt,omitzero"`
	// Profiles is how many profiles the segment had that could be sent, 0 where that
	// is not known. In append mode there are more members.
	Profiles int64 `json:"profiles,omitempty"`
	// Restored reports whether the snapshot was found to be older than what was sent last,
	// and every entry was made Unconfirmed. Restore is the ID of the last declared restore
	// that the snapshot knows.
	Restored bool   `json:"restored,omitempty"`
	Restore  string `json:"restore,omitempty"`
	// Base is the number of the snapshot that a run published, if this one lacks nothing of it
	// but people who were forgotten since; 0 means that a run published this one.
	Base int64 `json:"base,omitempty"`
	// Rows is the number of entries, Unconfirmed that of those which may not be on the
	// list; the writer sets both.
	Rows        int64 `json:"rows"`
	Unconfirmed int64 `json:"unconfirmed,omitempty"`
}

// Members returns the number of entries that are surely on the list.
func (h Header) Members() int64 { return h.Rows - h.Unconfirmed }

// check returns why a run that expects the other header can't use the snapshot, or nil.
func (h Header) check(expect Header) error {
	for _, f := range []struct{ what, have, want string }{
		{"export", h.Export, expect.Export},
		{"segment", h.Segment, expect.Segment},
		{"connection", h.Connection, expect.Connection},
	} {
		if f.have != f.want {
			return fmt.Errorf("%w: it is of %s %q, not %q", ErrForeign, f.what, f.have, f.want)
		}
	}
	if h.ListID != expect.ListID {
		return fmt.Errorf("%w: it was list %d and is list %d now", ErrListReplaced, h.ListID, expect.ListID)
	}
	return nil
}
