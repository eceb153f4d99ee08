package schemas

// CheckResult is what a check adds to a segment's report.
type CheckResult struct {
	// NoList is set if there is no list of the segment's name yet.
	NoList bool `json:"noList,omitempty"`
	// Requests is how many subscribe and unsubscribe requests a run would make at
	// the least, and Estimate how long they take at the connection's pace.
	Requests int64    `json:"requests"`
	Estimate Duration `json:"estimate"`
	// Guardrails are what would make the run wait for an approval; Clashes the
	// mapped fields that would make it wait for a correction.
	Guardrails []string `json:"guardrails,omitempty"`
	Clashes    []string `json:"clashes,omitempty"`
	// NewFields are the data fields that a run would create in Iterable; SentAgain says
	// why it would send all profiles on the list again, or is empty.
	NewFields []string `json:"newFields,omitempty"`
	SentAgain string   `json:"sentAgain,omitempty"`
	// Unready is why a run would wait for its data, or empty.
	Unready string `json:"unready,omitempty"`
	// Examples is the key of the examples' file in the data root.
	Examples string `json:"examples,omitempty"`
}

// FullRunDue is a Foreseen.SentAgain that needs no approval.
const FullRunDue = "a full run is due (fullEvery)"

// Foreseen is what the next run of an export does that can't be undone in Iterable.
type Foreseen struct {
	// NewFields are the data fields that it would create. SentAgain says why it sends all profiles
	// on a list again, or those with a value in some fields; it is empty if it does not.
	NewFields []string
	SentAgain string
	// Unknown says why this is not known, or is empty.
	Unknown string
	// NoRecords says why the program that looks can't see what earlier runs have sent, or is empty.
	NoRecords string
}

// Examples are some of the profiles that a run would change. They are stored in the data
// root and never pass through Temporal.
type Examples struct {
	Adds     []Example `json:"adds,omitempty"`
	Updates  []Example `json:"updates,omitempty"`
	Removals []Example `json:"removals,omitempty"`
	Rejects  []Example `json:"rejects,omitempty"`
}

// Example is one profile, or one row that would be rejected.
type Example struct {
	Email  string `json:"email,omitempty"`
	UserID string `json:"userId,omitempty"`
	// The rest is about a rejected row.
	Value  string `json:"value,omitempty"`
	File   string `json:"file,omitempty"`
	Row    int64  `json:"row,omitempty"`
	Column string `json:"column,omitempty"`
	Reason Reason `json:"reason,omitempty"`
}
