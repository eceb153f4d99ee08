package schemas

import (
	"fmt"
	"time"
)

// AuditEntry is an entry of the audit trail: who did what. It names no person of a segment.
type AuditEntry struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	What AuditWhat `json:"what"`
	// Connection, Export, Segment and RunID say to what, as far as it applies.
	Connection string `json:"connection,omitempty"`
	Export     string `json:"export,omitempty"`
	Segment    string `json:"segment,omitempty"`
	RunID      string `json:"runId,omitempty"`
	// Details are for a person: the numbers that were approved, the connection that a name was
	// moved to.
	Details string `json:"details,omitempty"`
}

// AuditWhat is what was done.
type AuditWhat string

// What the audit trail records.
const (
	AuditConnected    AuditWhat = "connected" // agreed to the transfer
	AuditDisconnected AuditWhat = "disconnected"
	AuditApplied      AuditWhat = "applied"
	AuditRemoved      AuditWhat = "removed"
	AuditMoved        AuditWhat = "moved"
	AuditPaused       AuditWhat = "paused"
	AuditResumed      AuditWhat = "resumed"
	AuditRan          AuditWhat = "ran"
	AuditChecked      AuditWhat = "checked"
	AuditTried        AuditWhat = "tried"
	AuditApproved     AuditWhat = "approved"
	AuditRetried      AuditWhat = "retried"
	AuditAborted      AuditWhat = "aborted"
	AuditCancelled    AuditWhat = "cancelled"
	AuditSearched     AuditWhat = "searched" // for a person
	AuditForgot       AuditWhat = "forgot"   // a person
	AuditRead         AuditWhat = "read"     // rejects, a record of rows or the examples of a check
	AuditDamaged      AuditWhat = "damaged"  // nobody did it: lines of the trail that are no entries
)

// AuditOfAnswer returns what an answer to a waiting run is in the audit trail.
func AuditOfAnswer(answer string) AuditWhat {
	return map[string]AuditWhat{UpdateApprove: AuditApproved, UpdateRetry: AuditRetried, UpdateAbort: AuditAborted}[answer]
}

// AuditRunID returns the ID of the entry about the start of a run.
func AuditRunID(runID string) string { return "run " + runID }

// AuditAnswerID returns the ID of the entry about an answer: of the waits of a segment, or of
// the run as a whole, the one after that many answers.
func AuditAnswerID(runID, segment string, given int) string {
	return fmt.Sprintf("answer %s %d %s", runID, given, segment)
}
