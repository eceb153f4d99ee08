package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// skippedError ends a segment's run whose data did not get ready.
type skippedError struct{ why string }

func (e skippedError) Error() string { return "the data was not ready: " + e.why }

// Looks at data that is not ready: the first after fewest, later ones after a tenth of the
// time waited so far, at most most apart.
const (
	fewestBetweenLooks = 10 * time.Second
	mostBetweenLooks   = 5 * time.Minute
)

// awaitData inspects the segment once its data is complete and new enough. Until then the
// run waits, without a worker and without an operator.
func (s *exportSegment) awaitData(ctx workflow.Context) error {
	if p := s.in.Part; p != nil { // the divided segment's run has inspected it
		s.info = p.Info
		s.fields, s.info.Fields = p.Info.Fields, nil
		return nil
	}
	for {
		again, err := s.inspectReady(ctx)
		s.data = nil
		if err != nil || !again {
			return err
		}
	}
}

// inspectReady inspects the segment as soon as its data is ready. again reports whether an
// operator wants to wait once more for data that did not get ready.
func (s *exportSegment) inspectReady(ctx workflow.Context) (again bool, err error) {
	ready := s.in.Export.ReadyFor(s.in.Segment)
	began := workflow.Now(ctx)
	quiet := began // since when the files have been the same
	want := &schemas.Wanted{Ready: ready, Settle: s.settleTime(ready), Began: s.report.StartedAt, Missing: s.in.AwaitData}
	for {
		if err := s.inspectSegment(ctx, want); err != nil || s.info.Unready == nil {
			return false, err
		}
		unready, now := s.info.Unready, workflow.Now(ctx)
		if s.in.Check {
			s.unready = unready.Why
			return false, s.inspectSegment(ctx, nil)
		}
		if s.in.Segment.Trial != nil {
			s.dataWarning = "a run would wait for its data: " + unready.Why
			return false, s.inspectSegment(ctx, nil)
		}
		s.data = &schemas.DataWait{
			Why: unready.Why, Since: began, Until: began.Add(ready.WaitFor.Or(schemas.DefaultWaitFor)), Then: cmp.Or(ready.Then, schemas.ThenAsk),
		}
		if !now.Before(s.data.Until) {
			if unready.Unreadable { // whatever to do about data that is late: this is damaged
				s.data = nil
				return false, s.inspectSegment(ctx, nil)
			}
			return s.notReady(ctx, *s.data)
		}
		if unready.Listing == "" || unready.Listing != want.Listing {
			want.Listing, quiet = unready.Listing, now
		}
		s.show(ctx)
		if err := workflow.Sleep(ctx, nextLook(now, *s.data, unready.SettledAt, time.Duration(want.Settle))); err != nil {
			return false, err
		}
		want.Quiet = schemas.Duration(workflow.Now(ctx).Sub(quiet))
	}
}

// settleTime returns how long no file may have changed.
func (s *exportSegment) settleTime(ready schemas.Ready) schemas.Duration {
	switch {
	case ready.Settle != nil:
		return *ready.Settle
	case s.in.Scheduled, s.in.AwaitData:
		return schemas.Duration(schemas.DefaultSettle)
	}
	return 0 // a person has just decided that the data is complete
}

// nextLook returns how long to wait before the next look. Files that keep changing must not
// cause so many looks that the history gets too long. Files whose times are in the future
// settle after having been the same for settle.
func nextLook(now time.Time, w schemas.DataWait, settled time.Time, settle time.Duration) time.Duration {
	next := min(max(now.Sub(w.Since)/10, fewestBetweenLooks), mostBetweenLooks)
	if !settled.IsZero() {
		next = max(next, min(settled.Sub(now), settle))
	}
	return min(next, w.Until.Sub(now))
}

// notReady does what the export wants if its data is not ready in time.
func (s *exportSegment) notReady(ctx workflow.Context, w schemas.DataWait) (again bool, err error) {
	switch w.Then {
	case schemas.ThenSkip:
		return false, skippedError{w.Why}
	case schemas.ThenRun:
		s.data = nil
		s.dataWarning = fmt.Sprintf("the data was read although it was not ready within %s: %s", schemas.Duration(w.Until.Sub(w.Since)).Short(), w.Why)
		return false, s.inspectSegment(ctx, nil)
	}
	s.step, s.data = schemas.StepAwaitData, nil
	answer, err := s.waiter.ask(ctx, s.step, schemas.ErrorNotReady,
		fmt.Sprintf("the data was not ready within %s: %s; approve to read what is there, retry to wait again",
			schemas.Duration(w.Until.Sub(w.Since)).Short(), w.Why),
		schemas.UpdateApprove, schemas.UpdateRetry, schemas.UpdateAbort)
	if err != nil || answer == schemas.UpdateRetry {
		return err == nil, err
	}
	return false, s.inspectSegment(ctx, nil)
}

// restart reports whether the run starts over by itself after its files have changed.
func (s *exportSegment) restart() bool {
	if s.in.Export.ReadyFor(s.in.Segment).OnChange != schemas.ChangeRestart || s.restarts == schemas.MostRestarts {
		return false
	}
	s.restarts++
	return true
}

// doubtful returns what is suspicious about the age of the segment's files, as a guardrail
// does.
func (s *exportSegment) doubtful(ctx workflow.Context) []string {
	var found []string
	ready, most := s.in.Export.ReadyFor(s.in.Segment), time.Duration(s.in.Export.Guardrails.MaxAge)
	if newest := s.info.Newest; most > 0 && !newest.IsZero() && workflow.Now(ctx).Sub(newest) > most {
		found = append(found, fmt.Sprintf("the newest file of the segment is of %s, older than %s (guardrails.maxAge)",
			newest.UTC().Format("2006-01-02 15:04 UTC"), s.in.Export.Guardrails.MaxAge.Short()))
	}
	if s.info.Leftovers != "" && ready.Leftovers == schemas.LeftoversAsk {
		found = append(found, leftBehind(s.info)+" (ready.leftovers)")
	}
	return found
}

// dataWarnings are the warnings about the segment's files as a whole.
func (s *exportSegment) dataWarnings() (all []string) {
	if s.dataWarning != "" {
		all = append(all, s.dataWarning)
	}
	if s.info.Leftovers != "" && s.in.Export.ReadyFor(s.in.Segment).Leftovers != schemas.LeftoversIgnore {
		all = append(all, leftBehind(s.info))
	}
	return all
}

func leftBehind(info schemas.SegmentInfo) string {
	return info.Leftovers + "; a larger export may have left them behind"
}

// describeData writes what the segment's run waits for.
func describeData(b *strings.Builder, w *schemas.DataWait) {
	if w == nil {
		return
	}
	fmt.Fprintf(b, "\n**Waiting for data** since %s: %s\n\nThe run continues by itself. If the data is not ready at %s, it %s.\n",
		schemas.Moment(w.Since), w.Why, schemas.Moment(w.Until), w.Afterwards())
}
