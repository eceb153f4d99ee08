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
	// Since is when the step failed first after it last worked, and Next when it is tried
	// again, zero while an attempt is under way.
	Since time.Time `json:"since"`
	Next  time.Time `json:"next,omitzero"`
	// Message is the last problem.
	Message string `json:"message"`
}

// String returns it in words, with times in the zone of this machine.
func (r Retrying) String() string {
	next := ""
	if !r.Next.IsZero() {
		next = ", the next at " + r.Next.Local().Format(time.TimeOnly)
	}
	return fmt.Sprintf("%s has been failing since %s and is tried again by itself (attempt %d%s): %s",
		r.Step, r.Since.Local().Format("2006-01-02 15:04:05 MST"), r.Attempt, next, r.Message)
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

// failing returns why an activity is tried again, nil if it is not.
func failing(a *workflow.PendingActivityInfo, now time.Time) *Retrying {
	r := &Retrying{Step: a.ActivityType.GetName(), Attempt: int(a.Attempt), Next: at(a.NextAttemptScheduleTime)}
	// Heartbeats have the activity's progress, and since when and why it has been failing.
	var progress any
	decode(a.HeartbeatDetails, &progress, &r.Since, &r.Message)
	running := a.State == enums.PENDING_ACTIVITY_STATE_STARTED
	switch {
	case a.LastFailure == nil: // requests of the first attempt
		if r.Since.IsZero() || now.Sub(r.Since) < briefly {
			return nil
		}
	case running && r.Since.IsZero() && at(a.LastHeartbeatTime).After(at(a.LastStartedTime)):
		return nil // this attempt works
	default:
		failed := a.LastFailure.GetMessage()
		if a.LastFailure.GetApplicationFailureInfo() == nil || a.LastFailure.GetApplicationFailureInfo().GetType() == panicked {
			failed = "an attempt ended without reporting why" // a worker was killed, or the text is not ours
		}
		if r.Message = cmp.Or(r.Message, failed); !running {
			r.Message = failed
		}
		if r.Since.IsZero() {
			r.Since = cmp.Or(at(a.LastAttemptCompleteTime), at(a.ScheduledTime))
		}
	}
	return r
}

// panicked is the type of the failure that the SDK makes of a panic.
const panicked = "PanicError"

// at returns a time of Temporal's, zero if it is not set.
func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
