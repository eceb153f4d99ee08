// Package gateway is what people ask for: exports, runs, connections, rejects and
// reports. A Service answers. Local does so in this process, with Temporal and the data
// root at hand, and says no where a person's role does not allow it; Client asks a
// Handler, which is a Local behind HTTP.
package gateway

import (
	"context"
	"time"

	"iterable-segment-export/internal/doctor"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/schemas"
)

// Service answers what people ask for. Errors that are *access.Refused say that a
// person may not, or that it can't be done as things are; others are of package operate,
// or trouble.
type Service interface {
	Me(ctx context.Context) (Me, error)

	Exports(ctx context.Context) ([]operate.Applied, error)
	// Names are the names of the exports that were applied; it is quick.
	Names(ctx context.Context) ([]string, error)
	Export(ctx context.Context, export string) (operate.Applied, error)
	// Plan compares a file of exports with what was applied; Apply does what a plan says.
	Plan(ctx context.Context, in PlanRequest) (Plan, error)
	Apply(ctx context.Context, in PlanRequest) (Plan, error)
	Remove(ctx context.Context, export string, in RemoveRequest) (schemas.RemoveAnswer, error)
	// Move gives an export's name to another connection.
	Move(ctx context.Context, export string, in MoveRequest) (schemas.NameRecord, error)
	// Schedule does something with the schedule of an export.
	Schedule(ctx context.Context, export string, in ScheduleRequest) error

	Start(ctx context.Context, in StartRequest) (Started, error)
	// Runs lists the newest runs.
	Runs(ctx context.Context, in RunsRequest) ([]operate.View, error)
	// Find finds a run by its id, or the newest of an export.
	Find(ctx context.Context, name string) (operate.Run, error)
	Look(ctx context.Context, run operate.Run) (operate.View, error)
	// Input is what a run was started with.
	Input(ctx context.Context, run operate.Run) (schemas.RunInput, error)
	// Watch is operate.Operator.Watch.
	Watch(ctx context.Context, run operate.Run, stopAtWait bool, see func(v operate.View, problem error)) (operate.View, error)
	// Answer returns the name of the segment, or of the run's export, that took the answer.
	Answer(ctx context.Context, run operate.Run, in AnswerRequest) (string, error)
	Cancel(ctx context.Context, run operate.Run) error
	// Rejects calls yield with the rows that a run did not send.
	Rejects(ctx context.Context, run operate.Run, in RejectsRequest, yield func(Reject) error) error
	// Report is a run's report, a page of HTML.
	Report(ctx context.Context, run operate.Run) ([]byte, error)
	// Examples are those of a check, by segment.
	Examples(ctx context.Context, run operate.Run) (map[string]schemas.Examples, error)

	Connections(ctx context.Context) (Connections, error)
	CheckConnection(ctx context.Context, connection string) (schemas.ConnectionCheck, error)
	Connect(ctx context.Context, connection string, in ConnectRequest) (schemas.ConsentRecord, error)
	Disconnect(ctx context.Context, connection string, in DisconnectRequest) (Disconnected, error)

	// Setup makes the search attributes that the namespace lacks.
	Setup(ctx context.Context) (Setup, error)
	Doctor(ctx context.Context) ([]doctor.Finding, error)
}

// Me is whom the service takes the caller for.
type Me struct {
	Person schemas.Person `json:"person"`
	// Required reports whether runs need a grant, and people a token.
	Required  bool   `json:"required"`
	Namespace string `json:"namespace"`
	Version   string `json:"version"`
}

// PlanRequest is a file of exports, and what to do with those that are not in it.
type PlanRequest struct {
	File schemas.Exports `json:"file"`
	// Prune removes exports that are not in the file; Renew grants every export again.
	Prune bool `json:"prune,omitempty"`
	Renew bool `json:"renew,omitempty"`
	// Plan is the ID of the plan that somebody has seen and agreed to; Apply refuses to
	// do another one. Empty is any.
	Plan string `json:"plan,omitempty"`
}

// Plan is what applying a file does, or has done.
type Plan struct {
	ID    string         `json:"id"`
	Steps []operate.Step `json:"steps"`
	// Failed counts the steps that failed; each says why.
	Failed int `json:"failed,omitempty"`
}

// RemoveRequest says what to delete beside what is in the data root.
type RemoveRequest struct {
	DeleteLists bool `json:"deleteLists,omitempty"`
}

// MoveRequest names the connection that an export's name is to belong to.
type MoveRequest struct {
	Connection string `json:"connection"`
}

// Verbs of a ScheduleRequest.
const (
	Pause    = "pause"
	Resume   = "resume"
	Trigger  = "trigger"
	Backfill = "backfill"
)

// ScheduleRequest is something to do with a schedule.
type ScheduleRequest struct {
	Do string `json:"do"`
	// From and To bound the starts that Backfill makes up for.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// StartRequest says what to run: an applied export by its name, or a described one.
type StartRequest struct {
	Export     string          `json:"export,omitempty"`
	Definition *schemas.Export `json:"definition,omitempty"`
	// Full sends everybody; Check sends nobody.
	Full  bool `json:"full,omitempty"`
	Check bool `json:"check,omitempty"`
	// Key makes the request one that can be repeated: a run that was started with the
	// same key by the same person is not started again. It is the header
	// Idempotency-Key.
	Key string `json:"-"`
}

// Started is a run that was started, or that was under way and is joined.
type Started struct {
	operate.Run
	Joined bool `json:"joined,omitempty"`
}

// RunsRequest says which runs to list.
type RunsRequest struct {
	// Export is the name of one export; empty is every one.
	Export string
	Limit  int
	// UnderWay leaves out those that have ended. Brief asks no run how it stands.
	UnderWay, Brief bool
}

// AnswerRequest is an answer to a run that waits.
type AnswerRequest struct {
	// Answer is one of the schemas.Update names.
	Answer string `json:"answer"`
	// Wait is the ID of the wait that it is for.
	Wait string `json:"wait"`
}

// RejectsRequest says which rows to show.
type RejectsRequest struct {
	Segment, Reason string
	// Limit is the most rows; 0 is all.
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

// Connections are the connections, with the exports on them for administrators.
type Connections struct {
	schemas.ConnectionsAnswer
	Exports map[string][]operate.Connected `json:"exports,omitempty"`
}

// ConnectRequest agrees to the transfer over a connection.
type ConnectRequest struct {
	// Statement is the SHA-256 of the statement that was agreed to, in hex.
	Statement string `json:"statement"`
}

// DisconnectRequest withdraws the consent to a connection.
type DisconnectRequest struct {
	// Detach keeps the exports on it, inactive; without it, they are in the way.
	Detach bool `json:"detach,omitempty"`
}

// Disconnected is what a withdrawal has done.
type Disconnected struct {
	Consent  schemas.ConsentRecord `json:"consent"`
	Detached []operate.Connected   `json:"detached"`
}

// Setup is which search attributes the namespace has.
type Setup struct {
	Attributes []operate.Attribute `json:"attributes"`
	// Refused says why those that lack could not be made, empty where they were.
	Refused string `json:"refused,omitempty"`
}
