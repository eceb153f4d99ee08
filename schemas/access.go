package schemas

import "time"

// Role is what a person may do.
type Role = string

// Roles, from the most to the least that one may do.
const (
	// RoleAdministrator sets up connections, and may do all that a contributor may.
	RoleAdministrator Role = "administrator"
	// RoleContributor defines exports and runs them, over the connections that
	// are shared with contributors.
	RoleContributor Role = "contributor"
	// RoleViewer sees the state of runs.
	RoleViewer Role = "viewer"
)

// Person is an authenticated person.
type Person struct {
	// Name is the display name. Subject is the identity provider's ID of the person; it is
	// empty without one.
	Name    string `json:"name"`
	Subject string `json:"subject,omitempty"`
	Role    Role   `json:"role"`
}

// Grant is the workers' permission to start a run, or to remove an export, exactly as
// described. It is not secret.
type Grant struct {
	Person   Person    `json:"person"`
	IssuedAt time.Time `json:"issuedAt"`
	// ExpiresAt is when the grant expires. Only a schedule's grant never does; its ExpiresAt
	// is zero.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// MAC is over all of the above and everything that it was started with, by a key
	// that only the workers have.
	MAC []byte `json:"mac,omitempty"`
}

// NameRecord says which connection an export's name belongs to.
type NameRecord struct {
	Export     string    `json:"export"`
	Connection string    `json:"connection"`
	Since      time.Time `json:"since"`
	By         string    `json:"by"`
	// Before are earlier connections of the name; the data root may still have their files.
	Before []string `json:"before,omitempty"`
}

// RunRecord is what a run was authorized with.
type RunRecord struct {
	RunID string   `json:"runId"`
	Input RunInput `json:"input"`
	// Connection is what the run uses, and Person has the grant.
	Connection ConnectionInfo `json:"connection"`
	Person     Person         `json:"person"`
	At         time.Time      `json:"at"`
}

// RemoveInput starts RemoveExport, which deletes all data kept for an export.
type RemoveInput struct {
	Export Export `json:"export"`
	// DeleteLists also deletes the lists that the export created in Iterable.
	DeleteLists bool   `json:"deleteLists,omitempty"`
	Grant       *Grant `json:"grant,omitempty"`
}

// RemoveAnswer says what was deleted.
type RemoveAnswer struct {
	// Files is how many files of the data root were deleted.
	Files int `json:"files"`
	// Lists has the outcome for the list of each segment.
	Lists []RemovedList `json:"lists,omitempty"`
}

// RemovedList is the outcome of deleting a list.
type RemovedList struct {
	Name    string `json:"name"`
	ID      int64  `json:"id,omitempty"`
	Deleted bool   `json:"deleted"`
	// Why says why it was not deleted.
	Why string `json:"why,omitempty"`
}
