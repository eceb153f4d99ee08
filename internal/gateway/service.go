// Package gateway is the API of a deployment: exports, runs, connections, rejects and
// reports. The interface is Service. Local implements it in this process, on Temporal and
// the data root, and enforces what a person's role allows. Handler serves a Local over
// HTTP, and package remote calls a Handler.
package gateway

import (
	"context"
	"io"
	"time"

	"iterable-segment-export/internal/dial"
	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/report"
	"iterable-segment-export/schemas"
)

// Service is what people can ask of a deployment. An error that is an *access.Refused says
// that the caller may not do it, or that it can't be done in the present state.
type Service interface {
	Me(ctx context.Context) (Me, error)

	Exports(ctx context.Context) ([]operate.Applied, error)
	// Names returns the names of the applied exports. It is quick.
	Names(ctx context.Context) ([]string, error)
	Export(ctx context.Context, export string) (operate.Applied, error)
	// Plan compares a file of exports with what was applied. Apply carries the plan out:
	// a step that fails does not stop the others, and applying the file again repeats it.
	Plan(ctx context.Context, in PlanRequest) (Plan, error)
	Apply(ctx context.Context, in PlanRequest) (Plan, error)
	Remove(ctx context.Context, export string, in RemoveRequest) (schemas.RemoveAnswer, error)
	// Move assigns an export's name to another connection.
	Move(ctx context.Context, export string, in MoveRequest) (schemas.NameRecord, error)
	// Schedule pauses or resumes the schedule of an export.
	Schedule(ctx context.Context, export string, in ScheduleRequest) error

	Start(ctx context.Context, in StartRequest) (Started, error)
	// Runs returns the newest runs.
	Runs(ctx context.Context, in RunsRequest) ([]operate.View, error)
	// Find returns the run with an ID, or the latest run of an export.
	Find(ctx context.Context, name string) (operate.Run, error)
	Look(ctx context.Context, run operate.Run) (operate.View, error)
	// Input returns what a run was started with.
	Input(ctx context.Context, run operate.Run) (schemas.RunInput, error)
	// Watch is operate.Session.Watch.
	Watch(ctx context.Context, run operate.Run, stopAtWait bool, see func(v operate.View, problem error)) (operate.View, error)
	// Answer returns the name of the segment, or of the run's export, that was answered.
	Answer(ctx context.Context, run operate.Run, in AnswerRequest) (string, error)
	Cancel(ctx context.Context, run operate.Run) error
	// Rejects calls yield for each row that a run did not send.
	Rejects(ctx context.Context, run operate.Run, in RejectsRequest, yield func(Reject) error) error
	// Record writes the Parquet file with what became of each row of a run's segment. The
	// segment may be empty if the run has only one.
	Record(ctx context.Context, run operate.Run, segment string, to io.Writer) error
	// Report returns a run's report as HTML.
	Report(ctx context.Context, run operate.Run) ([]byte, error)
	// Overview returns the state of the exports over the connections that the person may use.
	Overview(ctx context.Context) (report.Overview, error)
	// Examples returns the examples of a check, by segment.
	Examples(ctx context.Context, run operate.Run) (map[string]schemas.Examples, error)

	// Connections returns everything but the keys to administrators, and the names and
	// types of the shared connections to others.
	Connections(ctx context.Context) (Connections, error)
	// CheckConnection tries a connection's key, and keeps the result for Connections.
	CheckConnection(ctx context.Context, connection string) (schemas.ConnectionCheck, error)
	Connect(ctx context.Context, connection string, in ConnectRequest) (schemas.ConsentRecord, error)
	Disconnect(ctx context.Context, connection string, in DisconnectRequest) (Disconnected, error)

	// FindPerson returns where a person is, by the data root.
	FindPerson(ctx context.Context, in people.FindRequest) (people.Found, error)
	// ForgetPerson removes a person from the data root. It may be repeated.
	ForgetPerson(ctx context.Context, in people.ForgetRequest) (people.ForgetAnswer, error)

	// Audit returns the entries of the audit trail since a time, the oldest first.
	Audit(ctx context.Context, since time.Time) ([]schemas.AuditEntry, error)

	// Setup creates the search attributes that the namespace lacks.
	Setup(ctx context.Context) (Setup, error)
	Doctor(ctx context.Context) ([]doctor.Finding, error)
}

// Me is the caller as the service knows them.
type Me struct {
	Person schemas.Person `json:"person"`
	// Required reports whether runs need a grant, and callers a token.
	Required  bool   `json:"required"`
	Namespace string `json:"namespace"`
	Version   string `json:"version"`
}

// PlanRequest is a file of exports to apply.
type PlanRequest struct {
	File schemas.Exports `json:"file"`
	// Prune removes exports that are not in the file. Renew grants every export again.
	Prune bool `json:"prune,omitempty"`
	Renew bool `json:"renew,omitempty"`
	// Plan is the ID of the plan that was agreed to. Apply refuses to carry out another
	// one. Empty means any.
	Plan string `json:"plan,omitempty"`
}

// Plan is what applying a file would do, or did.
type Plan struct {
	ID    string         `json:"id"`
	Steps []operate.Step `json:"steps"`
	// Failed counts the steps that failed; each has an Error.
	Failed int `json:"failed,omitempty"`
}

// RemoveRequest says what to delete besides the data root's content.
type RemoveRequest struct {
	DeleteLists bool `json:"deleteLists,omitempty"`
}

// MoveRequest names the new connection of an export's name.
type MoveRequest struct {
	Connection string `json:"connection"`
}

// ScheduleRequest is the state that a schedule is to have.
type ScheduleRequest struct {
	Paused bool `json:"paused"`
}

// StartRequest says what to run: either an applied export by its name, or a definition.
type StartRequest struct {
	Export     string          `json:"export,omitempty"`
	Definition *schemas.Export `json:"definition,omitempty"`
	// Full sends all profiles. Check sends none.
	Full  bool `json:"full,omitempty"`
	Check bool `json:"check,omitempty"`
	// AwaitData makes the run wait for its data as a scheduled one does, and for files that
	// do not exist yet.
	AwaitData bool `json:"awaitData,omitempty"`
	// Scheduled starts the export only if a schedule starts it that is not paused.
	Scheduled bool `json:"scheduled,omitempty"`
	// Trial sends a few profiles of one segment to a list of its own, instead of running.
	Trial *TrialRequest `json:"trial,omitempty"`
	// Key makes the request idempotent: a run that the same person started with the same
	// key is not started again. It is the header Idempotency-Key.
	Key string `json:"-"`
}

// TrialRequest says what to try.
type TrialRequest struct {
	// Segment is needed if the export has several.
	Segment string `json:"segment,omitempty"`
	// Only are addresses or user IDs; without any, the first Limit profiles are sent.
	Only  []string `json:"only,omitempty"`
	Limit int      `json:"limit,omitempty"`
	// List is the list to send to; default the segment's name with " (trial)".
	List string `json:"list,omitempty"`
}

// Started is a run that was started, or one under way that was joined.
type Started struct {
	operate.Run
	Joined bool `json:"joined,omitempty"`
	// Unscheduled reports whether it was not started, because no schedule starts it. Follows
	// says after which exports its schedule starts it. Both are only of a request for scheduled
	// exports.
	Unscheduled bool   `json:"unscheduled,omitempty"`
	Follows     string `json:"follows,omitempty"`
}

// RunsRequest says which runs to list.
type RunsRequest struct {
	// Export is the name of an export; empty means every export.
	Export string
	Limit  int
	// UnderWay leaves out runs that have ended. Brief does not query the runs.
	UnderWay, Brief bool
}

// AnswerRequest is an answer to a run that waits.
type AnswerRequest struct {
	// Answer is one of the schemas.Update names.
	Answer string `json:"answer"`
	// Wait is the ID of the wait.
	Wait string `json:"wait"`
}

// RejectsRequest says which rows to return.
type RejectsRequest struct {
	Segment, Reason string
	// Limit is the most rows; 0 means all.
	Limit int
}

// Reject is a row that was not sent.
type Reject struct {
	Segment string         `json:"segment"`
	File    string         `json:"file"`
	Row     int64          `json:"row"`
	Column  string         `json:"column"`
	Value   *string        `json:"value"`
	Reason  schemas.Reason `json:"reason"`
	Message string         `json:"message"`
}

// Connections are the connections, and for administrators the exports on them.
type Connections struct {
	schemas.ConnectionsAnswer
	Exports map[string][]operate.Connected `json:"exports,omitempty"`
}

// ConnectRequest agrees to the transfer over a connection.
type ConnectRequest struct {
	// Statement is the SHA-256 of the statement agreed to, in hex.
	Statement string `json:"statement"`
}

// DisconnectRequest withdraws the consent to a connection.
type DisconnectRequest struct {
	// Detach pauses the exports on it. Without it, Disconnect refuses if there are any.
	Detach bool `json:"detach,omitempty"`
}

// Disconnected is the result of a withdrawal.
type Disconnected struct {
	Consent  schemas.ConsentRecord `json:"consent"`
	Detached []operate.Connected   `json:"detached"`
}

// Setup says which search attributes the namespace has.
type Setup struct {
	// Namespace is set if the namespace was missing, and was created.
	Namespace  bool             `json:"namespace,omitempty"`
	Attributes []dial.Attribute `json:"attributes"`
	// Refused says why missing ones could not be created, empty if they were.
	Refused string `json:"refused,omitempty"`
}
