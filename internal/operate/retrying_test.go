package operate

import (
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/failure/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"iterable-segment-export/schemas"
)

// TestWhatIsTriedAgain holds what Temporal knows of an activity, and what a look at its run says.
func TestWhatIsTriedAgain(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(-d)) }
	beat := func(since time.Duration, problem string, failed bool) *common.Payloads {
		var first time.Time
		if since > 0 {
			first = now.Add(-since)
		}
		p, err := converter.GetDefaultDataConverter().ToPayloads(schemas.StageProgress{Read: 7}, first, problem, failed)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	said := func(message, kind string) *failure.Failure {
		return &failure.Failure{Message: message, FailureInfo: &failure.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failure.ApplicationFailureInfo{Type: kind}}}
	}
	refused := said("connection refused", "")
	silent := &failure.Failure{Message: "activity Heartbeat timeout", FailureInfo: &failure.Failure_TimeoutFailureInfo{}}
	const scheduled, started = enums.PENDING_ACTIVITY_STATE_SCHEDULED, enums.PENDING_ACTIVITY_STATE_STARTED
	for name, c := range map[string]struct {
		of    *workflow.PendingActivityInfo
		since time.Duration
		want  string
	}{
		"works":                {&workflow.PendingActivityInfo{State: started, Attempt: 1, HeartbeatDetails: beat(0, "", false)}, 0, ""},
		"waits for a worker":   {&workflow.PendingActivityInfo{State: scheduled, Attempt: 1}, 0, ""},
		"a short problem":      {&workflow.PendingActivityInfo{State: started, Attempt: 1, HeartbeatDetails: beat(briefly/2, "500", true)}, 0, ""},
		"requests fail":        {&workflow.PendingActivityInfo{State: started, Attempt: 1, HeartbeatDetails: beat(time.Minute, "500", true)}, time.Minute, "500"},
		"failed before a beat": {&workflow.PendingActivityInfo{State: scheduled, Attempt: 2, LastFailure: refused, LastAttemptCompleteTime: ago(time.Second)}, time.Second, "connection refused"},
		"fails for an hour":    {&workflow.PendingActivityInfo{State: scheduled, Attempt: 60, LastFailure: refused, HeartbeatDetails: beat(time.Hour, "timeout", true)}, time.Hour, "connection refused"},
		"is tried again":       {&workflow.PendingActivityInfo{State: started, Attempt: 60, LastFailure: refused, HeartbeatDetails: beat(time.Hour, "connection refused", false)}, 0, ""},
		"fails again":          {&workflow.PendingActivityInfo{State: started, Attempt: 60, LastFailure: refused, HeartbeatDetails: beat(time.Hour, "timeout", true)}, time.Hour, "timeout"},
		"works again":          {&workflow.PendingActivityInfo{State: started, Attempt: 2, LastFailure: refused, HeartbeatDetails: beat(0, "", false)}, 0, ""},
		"has just begun":       {&workflow.PendingActivityInfo{State: started, Attempt: 2, LastFailure: refused}, 0, ""},
		"continues after a worker was killed": {&workflow.PendingActivityInfo{State: started, Attempt: 2, LastFailure: silent,
			HeartbeatDetails: beat(40*time.Minute, "an attempt ended without reporting why", false)}, 0, ""},
		"a worker was killed": {&workflow.PendingActivityInfo{State: scheduled, Attempt: 2, LastFailure: silent, ScheduledTime: ago(0)}, 0, "an attempt ended without reporting why"},
		"of a Go type":        {&workflow.PendingActivityInfo{State: scheduled, Attempt: 2, LastFailure: said("ann@example.com", "errorString"), ScheduledTime: ago(0)}, 0, "an attempt ended without reporting why"},
		"a defect":            {&workflow.PendingActivityInfo{State: scheduled, Attempt: 2, LastFailure: said("ann@example.com", "PanicError"), ScheduledTime: ago(0)}, 0, "an attempt ended without reporting why"},
	} {
		c.of.ActivityType = &common.ActivityType{Name: schemas.ActivityStageSegment}
		healthy := &workflow.PendingActivityInfo{ActivityType: c.of.ActivityType, State: started, Attempt: 1}
		got := retrying([]*workflow.PendingActivityInfo{healthy, c.of}, now)
		switch {
		case c.want == "" || got == nil:
			if got != nil || c.want != "" {
				t.Errorf("%s: %v, want %q", name, got, c.want)
			}
		case got.Message != c.want, !got.Since.Equal(now.Add(-c.since)), got.Attempt != int(c.of.Attempt), got.Step != schemas.ActivityStageSegment:
			t.Errorf("%s: %+v, want %q since %s", name, got, c.want, c.since)
		}
	}
	v := View{Run: Run{Export: "Spring"}, Retrying: &Retrying{Step: "Authorize"}, Segments: []SegmentView{{}, {Retrying: &Retrying{Step: "StageSegment", Attempt: 3, Next: now, Message: "no disk"}}}}
	v.Segments[1].Run.Segment = "VIP"
	var words []string
	for name, r := range v.Retries() {
		words = append(words, name+" "+r.String())
	}
	if len(words) != 2 || !strings.HasPrefix(words[0], "Spring Authorize has been failing since ") ||
		!strings.Contains(words[1], "VIP StageSegment") || !strings.HasSuffix(words[1], "(attempt 3, the next at "+now.Local().Format("2006-01-02 15:04:05 MST")+"): no disk") {
		t.Errorf("%q", words)
	}
}
