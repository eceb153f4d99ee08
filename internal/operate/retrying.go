package operate

import (
	"cmp"
	"fmt"
	"iter"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Retrying is a step that has failed and that Temporal tries again by itself.
type Retrying struct {
	Step string `json:"step"`
	// Attempt is the number of the latest attempt, or of the next one.
	Attempt int `json:"attempt"`
	// Since is when the step failed first after it last worked, or when the last attempt ended if
	// that is all Temporal knows. Next is when it is tried again, zero while an attempt is under way.
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	// Message is the last problem.
	Message string `json:"message"`
}

// String returns it in words, with times in the zone of this machine.
func (r Retrying) String() string {
	const moment = "2006-01-02 15:04:05 MST"
	next := ""
	if !r.Next.IsZero() {
		next = ", the next at " + r.Next.Local().Format(moment)
	}
	return fmt.Sprintf("%s has been failing since %s and is tried again by itself (attempt %d%s): %s",
		r.Step, r.Since.Local().Format(moment), r.Attempt, next, r.Message)
}

// Retries returns what is failing in a run and is tried again, by the segment's or the export's
// name.
func (v View) Retries() iter.Seq2[string, Retrying] {
	return func(yield func(string, Retrying) bool) {
		if v.Retrying != nil && !yield(v.Run.Export, *v.Retrying) {
			return
		}
		for _, s := range v.Segments {
			if s.Retrying != nil && !yield(s.Run.Segment, *s.Retrying) {
				return
			}
		}
	}
}

// briefly is how long the requests of an attempt may fail without a word: most problems of
// networks are over by then.
const briefly = 10 * time.Second

// retrying returns the activity that has failed for the longest time, nil if none is failing.
func retrying(all []*workflow.PendingActivityInfo, now time.Time) (longest *Retrying) {
	for _, a := range all {
		if r := failing(a, now); r != nil && (longest == nil || r.Since.Before(longest.Since)) {
			longest = r
		}
	}
	return longest
}

// failing returns why an activity is tried again, nil if it is not. While an attempt is under
// way, only its own problems count: it may work for hours after an earlier one failed.
func failing(a *workflow.PendingActivityInfo, now time.Time) *Retrying {
	r := &Retrying{Step: a.ActivityType.GetName(), Attempt: int(a.Attempt), Next: at(a.NextAttemptScheduleTime)}
	// Heartbeats have the activity's progress, since when and why it has been failing, and whether
	// the attempt itself has failed.
	var progress any
	var failed bool
	decode(a.HeartbeatDetails, &progress, &r.Since, &r.Message, &failed)
	if a.State == enums.PENDING_ACTIVITY_STATE_STARTED {
		if !failed || now.Sub(r.Since) < briefly {
			return nil
		}
		return r
	}
	if a.LastFailure == nil {
		return nil
	}
	r.Message = a.LastFailure.GetMessage()
	if info := a.LastFailure.GetApplicationFailureInfo(); info == nil || info.GetType() != "" {
		r.Message = "an attempt ended without reporting why" // a worker was killed, or the text is not ours
	}
	if r.Since.IsZero() {
		r.Since = cmp.Or(at(a.LastAttemptCompleteTime), at(a.ScheduledTime))
	}
	return r
}

// at returns a time of Temporal's, zero if it is not set.
func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
