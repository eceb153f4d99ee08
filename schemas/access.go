package schemas

import "time"

// Role is what a person may do.
type Role = string

// Roles, from the most to the least that one may do.
const (
	// RoleAdministrator sets up connections, and does all that a contributor does.
	RoleAdministrator Role = "administrator"
	// RoleContributor defines exports and runs them, over the connections that
	// are shared with contributors.
	RoleContributor Role = "contributor"
	// RoleViewer sees how runs stand.
	RoleViewer Role = "viewer"
)

// Person is somebody who has shown who they are.
type Person struct {
	// Name is for people to read; Subject is how the identity provider calls them,
	// empty where nobody was asked.
	Name    string `json:"name"`
	Subject string `json:"subject,omitempty"`
	Role    Role   `json:"role"`
}

// Grant is the workers' word that a run, or the removal of an export, may start
// exactly as it is described. It is no secret.
type Grant struct {
	Person   Person    `json:"person"`
	IssuedAt time.Time `json:"issuedAt"`
	// ExpiresAt is when nothing can be started with it any more; zero is never, which
	// only a schedule's grant is.
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
	// Before are the connections that it belonged to before, of which the data root
	// may still hold something.
	Before []string `json:"before,omitempty"`
}

// RunRecord is what a run was let in with.
type RunRecord struct {
	RunID string   `json:"runId"`
	Input RunInput `json:"input"`
	// Connection is what the run uses, and Person whom it was granted to.
	Connection ConnectionInfo `json:"connection"`
	Person     Person         `json:"person"`
	At         time.Time      `json:"at"`
}

// RemoveInput starts RemoveExport: it deletes all that is kept of an export.
type RemoveInput struct {
	Export Export `json:"export"`
	// DeleteLists deletes the lists too that the export made in Iterable.
	DeleteLists bool   `json:"deleteLists,omitempty"`
	Grant       *Grant `json:"grant,omitempty"`
}

// RemoveAnswer says what was deleted.
type RemoveAnswer struct {
	// Files is how many files of the data root were deleted.
	Files int `json:"files"`
	// Lists says what became of the list of each segment.
	Lists []RemovedList `json:"lists,omitempty"`
}

// RemovedList is what became of a list whose deletion was asked for.
type RemovedList struct {
	Name    string `json:"name"`
	ID      int64  `json:"id,omitempty"`
	Deleted bool   `json:"deleted"`
	// Why says why it was not deleted.
	Why string `json:"why,omitempty"`
}
