package workflows

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// looks makes InspectSegment find data that is not ready, until at; it then answers with
// info. It keeps what was wanted at each look, and when.
type looks struct {
	wanted []*schemas.Wanted
	at     []time.Time
}

func (w *world) unreadyUntil(at time.Time, why schemas.Unready, info schemas.SegmentInfo) *looks {
	l := &looks{}
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.InspectInput) (schemas.SegmentInfo, error) {
			l.wanted, l.at = append(l.wanted, in.Wanted), append(l.at, w.Now())
			if in.Wanted != nil && w.Now().Before(at) {
				return schemas.SegmentInfo{Unready: &why}, nil
			}
			return info, nil
		})
	return l
}

func TestARunWaitsForItsData(t *testing.T) {
	w := newWorld(t)
	began := w.Now()
	l := w.unreadyUntil(began.Add(time.Hour), schemas.Unready{Why: "no _SUCCESS"}, schemas.SegmentInfo{Files: 1})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() {
		p := w.progress()
		require.Equal(t, schemas.StateAwaitingData, p.State)
		require.Equal(t, schemas.StepAwaitData, p.Step)
		require.Nil(t, p.Waiting, "an operator is needed")
		require.Equal(t, "no _SUCCESS", p.Data.Why)
		require.Equal(t, schemas.ThenAsk, p.Data.Then)
		require.Equal(t, schemas.DefaultWaitFor, p.Data.Until.Sub(p.Data.Since))
		require.Empty(t, w.uploads)
	}, 30*time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, schemas.StateDone, w.report().State)
	require.Nil(t, w.progress().Data)
	require.Less(t, len(l.at), 60, "looks")
	require.Equal(t, fewestBetweenLooks, l.at[1].Sub(l.at[0]))
	for i := 1; i < len(l.at); i++ {
		require.LessOrEqual(t, l.at[i].Sub(l.at[i-1]), mostBetweenLooks)
	}
}

// TestDataSettlesAtATime checks that the run looks exactly when the files have settled, and
// says how long they have been the same.
func TestDataSettlesAtATime(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*schemas.SegmentInput)
		settle time.Duration
	}{
		"by a person": {func(*schemas.SegmentInput) {}, 0},
		"scheduled":   {func(in *schemas.SegmentInput) { in.Scheduled = true }, schemas.DefaultSettle},
		"awaiting":    {func(in *schemas.SegmentInput) { in.AwaitData = true }, schemas.DefaultSettle},
		"set off": {func(in *schemas.SegmentInput) {
			in.Scheduled, in.Export.Ready.Settle = true, new(schemas.Duration)
		}, 0},
		"of the segment": {func(in *schemas.SegmentInput) {
			five := schemas.Duration(5 * time.Minute)
			in.Segment.Ready.Settle, in.Export.Ready.Settle = &five, new(schemas.Duration)
		}, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			wait := min(90*time.Second, max(c.settle, fewestBetweenLooks))
			settled := w.Now().Add(wait)
			l := w.unreadyUntil(settled, schemas.Unready{Why: "just written", Listing: "x", SettledAt: settled}, schemas.SegmentInfo{})
			w.goesWell(1)
			in := input
			c.change(&in)
			w.ExecuteWorkflow(ExportSegment, in)
			require.NoError(t, w.GetWorkflowError())
			require.Len(t, l.wanted, 2)
			require.Equal(t, schemas.Duration(c.settle), l.wanted[0].Settle)
			require.Equal(t, in.AwaitData, l.wanted[0].Missing)
			require.Equal(t, settled, l.at[1])
			require.Equal(t, "x", l.wanted[1].Listing)
			require.Equal(t, schemas.Duration(wait), l.wanted[1].Quiet)
		})
	}
}

// TestNextLook checks that a file that changes all the time does not cause a look for each
// change, and that one from the future is looked at again once it may have settled.
func TestNextLook(t *testing.T) {
	since := time.Date(2026, 1, 31, 4, 0, 0, 0, time.UTC)
	w := schemas.DataWait{Since: since, Until: since.Add(2 * time.Hour)}
	looks := 0
	for now := since; now.Before(w.Until); looks++ {
		now = now.Add(nextLook(now, w, now.Add(time.Second), time.Second))
	}
	require.Less(t, looks, 80)
	require.Equal(t, 2*time.Minute, nextLook(since, w, since.Add(48*time.Hour), 2*time.Minute))
	require.Equal(t, 90*time.Second, nextLook(since, w, since.Add(90*time.Second), 2*time.Minute))
}

func TestDataThatDoesNotGetReady(t *testing.T) {
	for _, then := range []string{schemas.ThenAsk, schemas.ThenSkip, schemas.ThenRun} {
		t.Run(then, func(t *testing.T) {
			w := newWorld(t)
			began := w.Now()
			l := w.unreadyUntil(began.Add(24*time.Hour), schemas.Unready{Why: "no _SUCCESS"}, schemas.SegmentInfo{Files: 1})
			w.goesWell(1)
			asked := 0
			for _, after := range []time.Duration{61 * time.Minute, 125 * time.Minute} {
				w.RegisterDelayedCallback(func() {
					p := w.progress()
					if p.Waiting == nil {
						return
					}
					asked++
					require.Equal(t, schemas.ErrorNotReady, p.Waiting.Type)
					require.Equal(t, "the data was not ready within 1h: no _SUCCESS; approve to read what is there, retry to wait again", p.Waiting.Message)
					if asked == 1 {
						w.answer(schemas.UpdateRetry)
					} else {
						w.answer(schemas.UpdateApprove)
					}
				}, after)
			}
			in := input
			in.Export.Ready = schemas.Ready{WaitFor: schemas.Duration(time.Hour), Then: then}
			w.ExecuteWorkflow(ExportSegment, in)
			require.NoError(t, w.GetWorkflowError())
			require.Empty(t, w.refused)
			r := w.report()
			switch then {
			case schemas.ThenAsk:
				require.Equal(t, 2, asked)
				require.Nil(t, l.wanted[len(l.wanted)-1])
				require.Equal(t, schemas.StateDone, r.State)
			case schemas.ThenSkip:
				require.Equal(t, schemas.StateSkipped, r.State)
				require.Equal(t, "the data was not ready: no _SUCCESS", r.Error)
				require.Empty(t, w.uploads)
				require.Equal(t, schemas.StateSkipped, w.closed[0].Report.State)
			case schemas.ThenRun:
				require.Equal(t, schemas.StateDone, r.State)
				require.Equal(t, []string{"the data was read although it was not ready within 1h: no _SUCCESS"}, r.Warnings)
			}
		})
	}
}

// TestDataThatStaysUnreadable: at the end of the wait, a damaged file is not data that is late.
func TestDataThatStaysUnreadable(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.InspectInput) (schemas.SegmentInfo, error) {
			if in.Wanted != nil {
				return schemas.SegmentInfo{Unready: &schemas.Unready{Why: "a copy may not be complete", Unreadable: true}}, nil
			}
			return schemas.SegmentInfo{}, temporal.NewNonRetryableApplicationError("it is damaged", string(schemas.ErrorSegmentUnreadable), nil)
		})
	w.goesWell(1)
	var waiting *schemas.Waiting
	w.RegisterDelayedCallback(func() {
		if waiting = w.progress().Waiting; waiting != nil {
			w.answer(schemas.UpdateAbort)
		}
	}, 61*time.Minute)
	in := input
	in.Export.Ready = schemas.Ready{WaitFor: schemas.Duration(time.Hour), Then: schemas.ThenSkip}
	w.ExecuteWorkflow(ExportSegment, in)
	require.Error(t, w.GetWorkflowError())
	require.NotNil(t, waiting)
	require.Equal(t, schemas.ErrorSegmentUnreadable, waiting.Type)
}

func TestACancelledWaitForDataEnds(t *testing.T) {
	w := newWorld(t)
	w.unreadyUntil(w.Now().Add(time.Hour), schemas.Unready{Why: "no _SUCCESS"}, schemas.SegmentInfo{})
	w.goesWell(1)
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.Error(t, w.GetWorkflowError())
	require.Equal(t, schemas.StateCancelled, w.closed[0].Report.State)
}

// TestAChangeRestartsTheRun checks that a run starts over by itself three times, and then
// asks.
func TestAChangeRestartsTheRun(t *testing.T) {
	w := newWorld(t)
	staged, asked := 0, 0
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.StageInput) (schemas.Manifest, error) {
			if staged++; staged <= 1+schemas.MostRestarts {
				return schemas.Manifest{}, needsOperator(schemas.ErrorSegmentChanged)
			}
			return schemas.Manifest{Adds: 1, AddBatches: 1}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() {
		require.Equal(t, schemas.ErrorSegmentChanged, w.progress().Waiting.Type)
		require.Equal(t, 1+schemas.MostRestarts, staged)
		require.Equal(t, schemas.MostRestarts, w.progress().Report.StartedOver)
		require.Contains(t, strings.Join(w.progress().Report.Warnings, "; "), "the run started over 3 times; the last time because of this: trouble")
		asked++
		w.answer(schemas.UpdateRetry)
	}, time.Minute)
	in := input
	in.Export.Ready.OnChange = schemas.ChangeRestart
	w.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, 1, asked)
	require.Equal(t, 2+schemas.MostRestarts, staged)
	require.Equal(t, 1+schemas.MostRestarts, w.report().StartedOver)
	require.Contains(t, strings.Join(w.report().Warnings, "; "), "the run started over 4 times")
}

// TestOldDataAndLeftoversAreDoubtful checks the guardrails about the age of files.
func TestOldDataAndLeftoversAreDoubtful(t *testing.T) {
	const leftovers = "8 of 11 files are a day older than the newest"
	for name, c := range map[string]struct {
		change func(*schemas.SegmentInput)
		waits  string
		warns  bool
	}{
		"nothing is set": {change: func(*schemas.SegmentInput) {}, warns: true},
		"ask":            {change: func(in *schemas.SegmentInput) { in.Export.Ready.Leftovers = schemas.LeftoversAsk }, waits: leftovers + "; a larger export may have left them behind (ready.leftovers)", warns: true},
		"ignore":         {change: func(in *schemas.SegmentInput) { in.Export.Ready.Leftovers = schemas.LeftoversIgnore }},
		"too old":        {change: func(in *schemas.SegmentInput) { in.Export.Guardrails.MaxAge = schemas.Duration(36 * time.Hour) }, waits: "older than 36h (guardrails.maxAge)", warns: true},
		"not too old":    {change: func(in *schemas.SegmentInput) { in.Export.Guardrails.MaxAge = schemas.Duration(72 * time.Hour) }, warns: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.unreadyUntil(w.Now(), schemas.Unready{}, schemas.SegmentInfo{Files: 11, Leftovers: leftovers, Newest: w.Now().Add(-48 * time.Hour)})
			w.goesWell(1)
			waited := ""
			w.RegisterDelayedCallback(func() {
				if p := w.progress(); p.Waiting != nil {
					waited = p.Waiting.Message
					w.answer(schemas.UpdateApprove)
				}
			}, time.Minute)
			in := input
			c.change(&in)
			w.ExecuteWorkflow(ExportSegment, in)
			require.NoError(t, w.GetWorkflowError())
			require.Contains(t, waited, c.waits)
			require.Equal(t, c.waits == "", waited == "")
			require.Equal(t, c.warns, len(w.report().Warnings) == 1, fmt.Sprint(w.report().Warnings))
		})
	}
}

func TestACheckSaysThatDataIsNotReady(t *testing.T) {
	w := newWorld(t)
	w.unreadyUntil(w.Now().Add(time.Hour), schemas.Unready{Why: "no _SUCCESS"}, schemas.SegmentInfo{Files: 1})
	w.goesWell(1)
	in := input
	in.Check = true
	began := w.Now()
	w.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, "no _SUCCESS", w.report().Check.Unready)
	require.Equal(t, began, w.Now(), "it waited")
}

// TestACheckNamesLeftovers, and says that a run would ask about them.
func TestACheckNamesLeftovers(t *testing.T) {
	const leftovers = "8 of 11 files are a day older than the newest"
	w := newWorld(t)
	w.unreadyUntil(w.Now(), schemas.Unready{}, schemas.SegmentInfo{Files: 11, Leftovers: leftovers, Newest: w.Now()})
	w.goesWell(1)
	in := input
	in.Check = true
	in.Export.Ready.Leftovers = schemas.LeftoversAsk
	w.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, w.GetWorkflowError())
	const named = leftovers + "; a larger export may have left them behind"
	require.Contains(t, w.report().Warnings, named)
	require.Contains(t, w.report().Check.Guardrails, named+" (ready.leftovers)")
}

func TestARunOfSkippedSegmentsIsSkipped(t *testing.T) {
	done, skipped := schemas.ExportReport{State: schemas.StateDone}, schemas.ExportReport{State: schemas.StateSkipped}
	for _, c := range []struct {
		segments []schemas.ExportReport
		want     string
	}{
		{nil, schemas.StateDone}, {[]schemas.ExportReport{done, skipped}, schemas.StateDone},
		{[]schemas.ExportReport{skipped, skipped}, schemas.StateSkipped},
	} {
		if got := (schemas.RunResult{Segments: c.segments}).State(schemas.StateDone); got != c.want {
			t.Errorf("%+v: %s", c.segments, got)
		}
	}
}
