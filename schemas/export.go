package schemas

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Exports is the content of exports.yaml, the contributors' file.
type Exports struct {
	// Refresh is the system's scheduled refresh, which every export follows
	// that has no schedule of its own; nil means that there is none.
	Refresh *Timing  `json:"refresh,omitempty"`
	Exports []Export `json:"exports"`
}

// Export says which segments go over which connection, and how.
type Export struct {
	Name       string `json:"name"`
	Connection string `json:"connection"`
	// Email and UserID name the columns that identify a profile: a column, or a
	// path into structs such as contact.email.
	Email  string `json:"email,omitempty"`
	UserID string `json:"userID,omitempty"`
	// Fields are the further columns to send as data fields.
	Fields   Fields    `json:"fields,omitzero"`
	Segments []Segment `json:"segments"`
	Schedule Schedule  `json:"schedule,omitzero"`
	// After names the exports that have to be done before this one starts, in the same
	// refresh. An export with After has no Schedule. AfterFailure says what happens if one of
	// them is not done: AfterSkip (the default) or AfterRun.
	After        OneOrMore `json:"after,omitempty"`
	AfterFailure string    `json:"afterFailure,omitempty"`
	// Notify lists the webhooks for runs that wait or end.
	Notify []Notify `json:"notify,omitempty"`
	Settings
}

// MappingFingerprint returns a hash of every setting that shapes what is sent about a
// profile. It is part of each member's hash, so that all profiles are sent again after
// such a setting changes.
func (e Export) MappingFingerprint(projectType string) string {
	shape, err := json.Marshal(struct {
		Email, UserID, ProjectType, Nulls     string
		Fields                                Fields
		MergeNested, PreferUserID, UpdateOnly bool
	}{
		e.Email, e.UserID, cmp.Or(projectType, ProjectEmail), cmp.Or(e.Nulls, NullsOmit),
		e.Fields, e.MergeNestedObjects, e.PreferUserID, e.UpdateExistingUsersOnly,
	})
	if err != nil {
		panic(fmt.Sprintf("encode a mapping: %v", err)) // strings and booleans always encode
	}
	sum := sha256.Sum256(shape)
	return hex.EncodeToString(sum[:16])
}

// Segment is one named set of profiles. Its list in Iterable has the same name.
type Segment struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	// ListID selects one of several lists with the segment's name.
	ListID int64 `json:"listId,omitempty"`
	// Ready are the settings that differ from the export's.
	Ready Ready `json:"ready,omitzero"`
	// Where selects the rows that are sent; nil sends all.
	Where *Condition `json:"where,omitempty"`
	// Split divides the segment at random into groups with a list each.
	Split *Split `json:"split,omitempty"`
	// ForEach is a column: each of its values has a list, named like the segment with the value
	// in place of {column}. MaxLists is how many there may be (0 is DefaultMaxLists), Vanished
	// what becomes of the list of a value that vanished: VanishedEmpty (the default) or
	// VanishedKeep.
	ForEach  string `json:"forEach,omitempty"`
	MaxLists int    `json:"maxLists,omitempty"`
	Vanished string `json:"vanished,omitempty"`
	// Of is the name of the divided segment that this one is a part of. It is not in a file.
	Of string `json:"of,omitempty"`
	// Trial, in the only segment of a trial, selects what is tried. It is not in a file.
	Trial *Trial `json:"trial,omitempty"`
}

// Settings are what an export may set beside its mapping. A zero field means
// the default.
type Settings struct {
	// Mode is "mirror" (the default: the list ends up as the segment is) or
	// "append" (no member is removed).
	Mode string `json:"mode,omitempty"`
	// MergeNestedObjects, PreferUserID and UpdateExistingUsersOnly are passed
	// on to Iterable as they are.
	MergeNestedObjects      bool `json:"mergeNestedObjects,omitempty"`
	PreferUserID            bool `json:"preferUserId,omitempty"`
	UpdateExistingUsersOnly bool `json:"updateExistingUsersOnly,omitempty"`
	// Nulls says how a mapped field without a value is sent: "omit" (the
	// default) or "send".
	Nulls string `json:"nulls,omitempty"`
	// OnInvalid says how a mapped field with an invalid value is handled:
	// "omit" (the default) leaves it out and counts it, "reject" rejects the row.
	OnInvalid string `json:"onInvalid,omitempty"`
	// AllowUnknownTLD accepts addresses under a top-level domain that the public
	// suffix list does not know.
	AllowUnknownTLD bool `json:"allowUnknownTLD,omitempty"`
	// Deadline is how long a step may fail, without the time spent waiting for operators;
	// default 24h.
	Deadline Duration `json:"deadline,omitempty"`
	// FullEvery is how old the last full run may be before the next run sends
	// all profiles again; 0 means that only changes are sent.
	FullEvery Duration `json:"fullEvery,omitempty"`
	// NewFields says what a run does that would create data fields in Iterable, where they
	// can never be removed: with "ask" (the default) a scheduled run waits and others
	// continue; with "allow" all continue; with "refuse" none does.
	NewFields string `json:"newFields,omitempty"`
	// FullRuns says what a scheduled run does that would send all profiles of a list again,
	// other than by FullEvery: wait ("ask", the default) or continue ("allow").
	FullRuns string `json:"fullRuns,omitempty"`
	// Ready says when the data of a segment is complete.
	Ready Ready `json:"ready,omitzero"`
	// Record says which rows a run records in rows.parquet: "none", "changes" (the default) or
	// "all". RecordIdentity says how it names people: "plain" (the default) or "hash".
	Record         string `json:"record,omitempty"`
	RecordIdentity string `json:"recordIdentity,omitempty"`
	// Dedupe says which of several rows about the same profile is sent; the default is the
	// first in the order of the source.
	Dedupe Dedupe `json:"dedupe,omitzero"`
	// Guardrails stop a run for an operator before it sends anything.
	Guardrails Guardrails `json:"guardrails,omitzero"`
}

// Modes of an Export, and the handling of null fields and of invalid values.
const (
	ModeMirror = "mirror"
	ModeAppend = "append"
	NullsOmit  = "omit"
	NullsSend  = "send"

	InvalidOmit   = "omit"
	InvalidReject = "reject"
)

// Dedupe says which of several rows about the same profile is sent.
type Dedupe struct {
	// By is the column of a number, a date or a timestamp that orders the rows, and Keep
	// which of them is sent: KeepNewest, KeepOldest, or KeepNone, which needs no column.
	By   string `json:"by,omitempty"`
	Keep string `json:"keep,omitempty"`
}

// Values of Dedupe.Keep.
const (
	KeepNewest = "newest"
	KeepOldest = "oldest"
	KeepNone   = "none"
)

// What a run does before a change that can't be undone in Iterable.
const (
	Ask    = "ask"
	Allow  = "allow"
	Refuse = "refuse"
)

// Field is one column, or a constant, sent as a data field.
type Field struct {
	// Column is the column's name or a path into structs, and Value a constant in place of a
	// column: a text, a number or a boolean.
	Column string  `json:"column,omitempty"`
	Value  Literal `json:"value,omitempty"`
	// As is the field's name in Iterable; default the column's last name.
	As string `json:"as,omitempty"`
	// Type forces the JSON form: "string", "number", "boolean", "date", "object",
	// "array" or "base64"; default by the column's type.
	Type string `json:"type,omitempty"`
	// Transform changes texts, in this order: see mapping.Transforms.
	Transform []string `json:"transform,omitempty"`
	// Nulls is Settings.Nulls for this field, Default what is sent in place of null.
	Nulls   string  `json:"nulls,omitempty"`
	Default Literal `json:"default,omitempty"`
}

// FieldNames returns data fields as a part of a sentence: the first twenty, and how many
// more.
func FieldNames(names []string) string {
	const most = 20
	more := ""
	if n := len(names) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
		names = names[:most]
	}
	what := "the fields "
	if len(names) == 1 {
		what = "the field "
	}
	return what + strings.Join(names, ", ") + more
}

// Fields is a list of Field, or the word "all" for every column that does not
// identify the profile.
type Fields struct {
	All  bool
	List []Field
}

// IsZero reports whether no field is mapped.
func (f Fields) IsZero() bool { return !f.All && len(f.List) == 0 }

// MarshalJSON writes "all" or the list.
func (f Fields) MarshalJSON() ([]byte, error) {
	if f.All {
		return []byte(`"all"`), nil
	}
	if f.List == nil {
		return []byte("[]"), nil
	}
	return json.Marshal(f.List)
}

// UnmarshalJSON reads "all" or a list.
func (f *Fields) UnmarshalJSON(data []byte) error {
	*f = Fields{}
	switch data = bytes.TrimSpace(data); {
	case bytes.Equal(data, []byte(`"all"`)):
		f.All = true
		return nil
	case len(data) > 0 && data[0] == '[':
		return json.Unmarshal(data, &f.List)
	default:
		return fmt.Errorf(`fields must be a list of {column, as, type}, or the word "all"`)
	}
}
