package schemas

import (
	"encoding/json"
	"time"
)

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

// Person is somebody who was asked who they are.
type Person struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
}

// Purposes of a Grant.
const (
	// PurposeSchedule: the export runs on a schedule, for as long as it is applied.
	PurposeSchedule = "schedule"
	// PurposeRun: the export is run now, and sends what has changed.
	PurposeRun = "run"
	// PurposeFull: the export is run now, and sends everybody.
	PurposeFull = "full run"
	// PurposeCheck: the export is checked now, and nothing is sent.
	PurposeCheck = "check"
)

// Grant is the worker's word that a person may run one export, exactly as it is
// written. A change of the export, or of anything in here, makes it void. It is
// no secret: all that it is good for is to run this very export, for its purpose.
type Grant struct {
	Person  Person `json:"person"`
	Purpose string `json:"purpose"`
	// Export is the export's name.
	Export   string    `json:"export"`
	IssuedAt time.Time `json:"issuedAt"`
	// ExpiresAt is when no run can be started with it any more; zero is never.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// MAC is over all of the above and the export, with a key that only the
	// workers have.
	MAC []byte `json:"mac"`
}

// Pass lets the activities of one segment's part of a run do their work. Only
// Authorize makes it, for a run with a grant.
type Pass struct {
	// Part is the SHA-256 of the export, segment and connection of that part.
	Part []byte `json:"part"`
	// Check tells that nothing may be changed.
	Check bool   `json:"check,omitempty"`
	MAC   []byte `json:"mac"`
}

// Proof says who asks. It holds the person's token, sealed so that only a worker
// can read it, together with the one thing that it is meant for: what is asked,
// with its arguments, by which workflow, and until when.
type Proof struct {
	Sealed []byte `json:"sealed"`
}

// Operation is something that can be asked of the worker.
type Operation = string

// Operations.
const (
	// OperationWorkerKey gives a WorkerKey; everybody may ask.
	OperationWorkerKey Operation = "WorkerKey"
	// OperationGrant takes a GrantRequest and gives a GrantAnswer.
	OperationGrant Operation = "Grant"
	// OperationRevoke takes a RevokeRequest: the grants that the export has until
	// now are good for nothing any more.
	OperationRevoke Operation = "Revoke"
	// OperationRemove takes a RemoveRequest and gives a RemoveAnswer; only
	// RemoveExport asks for it.
	OperationRemove Operation = "RemoveExport"
	// OperationCancel takes a CancelRequest: may the person stop the export's run? It
	// stops nothing.
	OperationCancel Operation = "Cancel"
	// OperationConnections gives a ConnectionsAnswer.
	OperationConnections Operation = "Connections"
	// OperationExamine gives an Examination of the worker that answers.
	OperationExamine Operation = "Examine"
	// OperationExamineSources takes an ExamineSourcesRequest and gives an
	// ExamineSourcesAnswer.
	OperationExamineSources Operation = "ExamineSources"
	// OperationCheckConnection takes a ConnectionRequest and gives a
	// ConnectionCheck.
	OperationCheckConnection Operation = "CheckConnection"
	// OperationConsent takes a ConsentRequest and gives the ConsentRecord.
	OperationConsent Operation = "RecordConsent"
	// OperationDisconnect takes a ConnectionRequest and gives the ConsentRecord
	// that withdraws the consent.
	OperationDisconnect Operation = "Disconnect"
)

// AskInput starts Administer: it asks the worker for one operation.
type AskInput struct {
	Operation Operation       `json:"operation"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	// Who asks, as far as the asking program knows; what the proof says counts
	// where the worker wants proofs.
	Who   string `json:"who,omitempty"`
	Proof *Proof `json:"proof,omitempty"`
}

// AskAnswer is what Administer returns.
type AskAnswer struct {
	Answer json.RawMessage `json:"answer,omitempty"`
}

// WorkerKey says whether the worker wants proofs, and how to make them.
type WorkerKey struct {
	// Required tells whether the worker wants proofs at all.
	Required bool `json:"required"`
	// Key is the public key that proofs are sealed with, in base64 without
	// padding (URL alphabet).
	Key string `json:"key,omitempty"`
}

// GrantRequest asks for a grant.
type GrantRequest struct {
	Purpose string `json:"purpose"`
	Export  Export `json:"export"`
}

// GrantAnswer holds the grant; it has none where the worker wants none.
type GrantAnswer struct {
	Grant *Grant `json:"grant,omitempty"`
}

// RevokeRequest names an export.
type RevokeRequest struct {
	Export string `json:"export"`
}

// RemoveRequest asks that all is deleted that is kept of an export.
type RemoveRequest struct {
	Export Export `json:"export"`
	// DeleteLists deletes the lists too that the export made in Iterable.
	DeleteLists bool `json:"deleteLists,omitempty"`
}

// CancelRequest names the export whose run is to be stopped, and its connection.
type CancelRequest struct {
	Export     string `json:"export"`
	Connection string `json:"connection"`
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

// ConnectionRequest names a connection.
type ConnectionRequest struct {
	Connection string `json:"connection"`
}

// ConsentRequest records that the asking person agrees to the statement.
type ConsentRequest struct {
	Connection string `json:"connection"`
	// Statement is the SHA-256 of the statement that the person has seen, in hex.
	Statement string `json:"statement"`
}

// AdmitInput asks whether a person may give an answer to a waiting run.
type AdmitInput struct {
	// Update is the answer: one of the Update names.
	Update string `json:"update"`
	// Connection is the run's.
	Connection string `json:"connection"`
	// Since is when the wait began that the answer is meant to end.
	Since  time.Time `json:"since"`
	Answer Answer    `json:"answer"`
}
