package schemas

import (
	"maps"
	"slices"
	"time"
)

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
	// Waited is set after a wait for a person. Then Suppression is the manifest's SuppressionLists,
	// and nothing is sent if one of them has changed since, or the connection has other ones.
	Waited      bool               `json:"waited,omitempty"`
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
	for _, batch := range slices.Sorted(maps.Keys(p.Parts)) { // names of fields keep their order
		all.Add(p.Parts[batch])
	}
	return all
}
