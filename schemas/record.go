package schemas

// What a run records in rows.parquet, as Settings.Record says.
const (
	RecordNone    = "none"
	RecordChanges = "changes" // the default: all but unchanged and filtered rows
	RecordAll     = "all"
	// RecordSent records the rows that are sent: of a trial without names, of an export with
	// RecordNone. No file sets it.
	RecordSent = "sent"
)

// How rows.parquet names people, as Settings.RecordIdentity says.
const (
	IdentityPlain = "plain" // the default
	IdentityHash  = "hash"
)

// Outcome is what became of a row of a segment, or of a member of its list.
type Outcome string

// Outcomes.
const (
	OutcomeAdded      Outcome = "added"
	OutcomeUpdated    Outcome = "updated"
	OutcomeRemoved    Outcome = "removed"
	OutcomeUnchanged  Outcome = "unchanged"
	OutcomeFiltered   Outcome = "filtered"
	OutcomeSuppressed Outcome = "suppressed"
	OutcomeDuplicate  Outcome = "duplicate"
	OutcomeRejected   Outcome = "rejected"  // by this program
	OutcomeRefused    Outcome = "refused"   // by Iterable
	OutcomeForgotten  Outcome = "forgotten" // in Iterable, under GDPR
	// OutcomeUnanswered: the run ended before Iterable answered, or Iterable did not say for
	// which profiles it refused a part of a request.
	OutcomeUnanswered Outcome = "unanswered"
	// OutcomeUnsent: the run ended before it sent the profile.
	OutcomeUnsent Outcome = "unsent"
	// OutcomeAbsent: a trial named the person, and no row of the segment has them.
	OutcomeAbsent Outcome = "absent"
)

// ReasonLeft is why a member was removed that is not in the segment any more.
const ReasonLeft Reason = "left"

// ReasonFieldLeftOut marks a row that was sent without a value of a mapped field, since Iterable
// can't store the value (onInvalid: omit).
const ReasonFieldLeftOut Reason = "field_left_out"

// ReasonFiltered marks a row that does not match the segment's condition. It is counted by
// itself and not written to the rejects file.
const ReasonFiltered Reason = "filtered"
