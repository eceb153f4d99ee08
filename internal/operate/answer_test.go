package operate

import (
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

// TestAnAnswerIsForThoseWhoWaitForIt: a segment that waits for another answer keeps
// no segment from getting its own.
func TestAnAnswerIsForThoseWhoWaitForIt(t *testing.T) {
	segment := func(name string, answers ...string) (s SegmentView) {
		s.Run.Segment = name
		if len(answers) > 0 {
			s.Waiting = &schemas.Waiting{Answers: answers, Message: "trouble of " + name}
		}
		return s
	}
	v := View{State: schemas.StateWaiting, Segments: []SegmentView{
		segment("key", schemas.UpdateRetry, schemas.UpdateAbort), segment("busy"), segment("guarded", schemas.UpdateApprove, schemas.UpdateAbort),
	}}
	for answer, want := range map[string]string{schemas.UpdateRetry: "key", schemas.UpdateApprove: "guarded", schemas.UpdateAbort: "key guarded"} {
		found, err := waitingFor(v, answer)
		var names []string
		for _, s := range found {
			names = append(names, s.Run.Segment)
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("%s is for %q, %v; want %q", answer, got, err, want)
		}
	}
	v.Segments = v.Segments[:2]
	if _, err := waitingFor(v, schemas.UpdateApprove); err == nil || !strings.Contains(err.Error(), "waits for retry or abort, not for approve: trouble of key") {
		t.Error(err)
	}
	v.Segments, v.State = v.Segments[1:], schemas.StateRunning
	if _, err := waitingFor(v, schemas.UpdateAbort); err == nil || !strings.Contains(err.Error(), "is running, and waits for nothing") {
		t.Error(err)
	}
}

// TestWhatSomebodyPausedStaysPaused: another connection ends a pause that was for the
// connection, and no other.
func TestWhatSomebodyPausedStaysPaused(t *testing.T) {
	consent := schemas.ConsentRecord{Connection: "marketing", By: "ann"}
	for note, want := range map[string]bool{
		detachedNote(consent, false): true, detachedNote(consent, true): false, "Paused by ann": false, "": false,
	} {
		if forConnection(note) != want {
			t.Errorf("%q: goes on %v, want %v", note, !want, want)
		}
	}
}
