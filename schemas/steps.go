package schemas

import "time"

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
