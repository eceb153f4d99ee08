package workflows

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// world is a test environment with every activity stubbed by an expectation.
type world struct {
	*testsuite.TestWorkflowEnvironment
	t       *testing.T
	mu      sync.Mutex // chunks are sent beside each other
	uploads []schemas.UploadInput
	closed  []schemas.CloseInput
	refused []string // updates
	commits []schemas.CommitInput
}

// newEnvironment returns a test environment that takes no workflow for deadlocked: on a busy machine,
// one may not get a processor within the second after which the SDK does.
func newEnvironment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: math.MaxInt64})
	return env
}

func newWorld(t *testing.T) *world {
	w := &world{TestWorkflowEnvironment: newEnvironment(), t: t}
	w.RegisterWorkflowWithOptions(RunExport, workflow.RegisterOptions{Name: schemas.WorkflowRunExport})
	w.RegisterWorkflowWithOptions(ExportSegment, workflow.RegisterOptions{Name: schemas.WorkflowExportSegment})
	stub[schemas.AuthorizeInput, schemas.AuthorizeResult](w, schemas.ActivityAuthorize)
	stub[schemas.ServedInput, schemas.ServedResult](w, schemas.ActivityServed)
	stub[schemas.InspectInput, schemas.SegmentInfo](w, schemas.ActivityInspectSegment)
	stub[schemas.ForgottenInput, schemas.ForgottenResult](w, schemas.ActivityFetchForgotten)
	stub[schemas.EnsureListInput, schemas.ListRef](w, schemas.ActivityEnsureList)
	stub[schemas.StageInput, schemas.Manifest](w, schemas.ActivityStageSegment)
	stub[schemas.UploadInput, schemas.UploadCounts](w, schemas.ActivityUploadBatches)

	stub[schemas.CommitInput, schemas.ExportReport](w, schemas.ActivityCommitSnapshot)
	stub[schemas.CloseInput, schemas.ExportReport](w, schemas.ActivityCloseRun)
	return w
}

// stub registers an activity that only an expectation makes answer.
func stub[In, Out any](w *world, name string) {
	w.RegisterActivityWithOptions(func(context.Context, In) (out Out, err error) { return out, errors.New("no expectation") },
		activity.RegisterOptions{Name: name})
}

// goesWell makes every activity succeed on a segment of that many batches.
func (w *world) goesWell(batches int) {
	w.OnActivity(schemas.ActivityFetchForgotten, mock.Anything, mock.Anything).Return(schemas.ForgottenResult{}, nil).Maybe()
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(schemas.SegmentInfo{Files: 1, Rows: 10}, nil).Maybe()
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(schemas.ListRef{ID: 7, Created: true}, nil).Maybe()
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(schemas.Manifest{
		Read: int64(batches) + 100, Adds: int64(batches), Unchanged: 98, AddBatches: batches,
		Rejected: map[schemas.Reason]int64{schemas.ReasonMissing: 2},
	}, nil).Maybe()
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.UploadInput) (schemas.UploadCounts, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.uploads = append(w.uploads, in)
			n := int64(in.End - in.First)
			return schemas.UploadCounts{Requests: n, Sent: n}, nil
		}).Maybe()

	w.OnActivity(schemas.ActivityCommitSnapshot, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.CommitInput) (schemas.ExportReport, error) {
			w.commits = append(w.commits, in)
			return in.Report, nil
		}).Maybe()
	w.OnActivity(schemas.ActivityCloseRun, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.CloseInput) (schemas.ExportReport, error) {
			w.closed = append(w.closed, in)
			return in.Report, nil
		}).Maybe()
}

var input = schemas.SegmentInput{
	Run:        schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"},
	Export:     schemas.Export{Name: "Spring", Connection: "marketing", Email: "email"},
	Segment:    schemas.Segment{Name: "High-value", Source: "s.parquet"},
	Connection: schemas.ConnectionInfo{Name: "marketing", TaskQueue: "q"},
}

func (w *world) progress() schemas.Progress {
	v, err := w.QueryWorkflow(schemas.QueryProgress)
	require.NoError(w.t, err)
	var p schemas.Progress
	require.NoError(w.t, v.Get(&p))
	return p
}

// answer sends an update. What the workflow refuses is kept in w.refused: the
// test environment delivers updates only after the callback that sends them.
func (w *world) answer(name string) { w.answerTo(name, w.wait()) }

// wait is the ID of what the workflow waits for, a made-up one where it waits for nothing.
func (w *world) wait() string {
	if p := w.progress(); p.Waiting != nil {
		return p.Waiting.ID
	}
	return "none"
}

func (w *world) answerTo(name, wait string) {
	w.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
		OnReject:   func(err error) { w.refused = append(w.refused, err.Error()) },
		OnAccept:   func() {},
		OnComplete: func(any, error) {},
	}, schemas.Answer{Who: "ann", Wait: wait})
}

func (w *world) report() schemas.ExportReport {
	var r schemas.ExportReport
	require.NoError(w.t, w.GetWorkflowResult(&r))
	return r
}

func needsOperator(kind schemas.ErrorType, details ...any) error {
	return temporal.NewApplicationErrorWithOptions("trouble", kind,
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: details})
}

func TestExportSegmentGoesThroughItsSteps(t *testing.T) {
	w := newWorld(t)
	w.goesWell(250)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	r := w.report()
	require.Equal(t, schemas.StateDone, r.State)
	require.EqualValues(t, 7, r.ListID)
	require.True(t, r.ListCreated)
	require.EqualValues(t, 250, r.Upload.Sent)
	require.EqualValues(t, 2, r.Rejected[schemas.ReasonMissing])
	var covered []string
	for _, u := range w.uploads {
		covered = append(covered, fmt.Sprintf("%d-%d", u.First, u.End))
	}
	require.ElementsMatch(t, []string{"0-100", "100-250"}, covered)
	require.Empty(t, w.closed)
}

// TestMembersThatAreSentAgainCountOnce: without a snapshot that can be trusted, all profiles are
// additions, although most of them are on the list.
func TestMembersThatAreSentAgainCountOnce(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(schemas.ListRef{ID: 7, Size: 103, Ours: true}, nil)
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
		schemas.Manifest{Read: 100, Adds: 100, AddBatches: 1, Full: true, SentAgain: "the data root was restored from a backup", UnconfirmedMembers: 100, Unconfirmed: 3}, nil)
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(schemas.UploadCounts{Requests: 1, Sent: 100}, nil)
	w.goesWell(1)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.EqualValues(t, 103, w.report().ListSize)
	require.EqualValues(t, 100, w.report().Members)
}

// TestTheReportHasTheExpectedSizeOfTheList: with the members of others, where it is known
// how many there were.
func TestTheReportHasTheExpectedSizeOfTheList(t *testing.T) {
	for name, c := range map[string]struct{ size, want int64 }{
		"all of it is ours": {100, 80},
		"others are on it":  {150, 130},
		"not known":         {-1, 80},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(schemas.ListRef{ID: 7, Size: c.size}, nil)
			w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
				schemas.Manifest{Read: 80, Unchanged: 75, Adds: 5, AddBatches: 1, Removals: 25, RemoveBatches: 1, Members: 100}, nil)
			w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(
				func(_ context.Context, in schemas.UploadInput) (schemas.UploadCounts, error) {
					if in.Kind == schemas.Unsubscribe {
						return schemas.UploadCounts{Requests: 1, Removed: 25}, nil
					}
					return schemas.UploadCounts{Requests: 1, Sent: 5}, nil
				})
			w.goesWell(1)
			w.ExecuteWorkflow(ExportSegment, input)
			require.NoError(t, w.GetWorkflowError())
			require.EqualValues(t, c.want, w.report().ListSize)
			require.EqualValues(t, 80, w.report().Members)
		})
	}
}

// TestAListIsCreatedOnlyToSendSomething: not by a run that a guardrail stops, and not by one
// with nothing to send.
func TestAListIsCreatedOnlyToSendSomething(t *testing.T) {
	some := schemas.Manifest{Read: 10, Adds: 10, AddBatches: 1, Attempt: "a"}
	rejected := schemas.Manifest{Read: 10, Adds: 1, AddBatches: 1, Attempt: "a", Rejected: map[schemas.Reason]int64{schemas.ReasonSyntax: 9}}
	for name, c := range map[string]struct {
		staged  schemas.Manifest
		answer  string
		created schemas.ListRef // what EnsureList returns when it may create the list
		ensured string          // the EnsureList activities: f finds, c creates
		uploads int
		warned  string
	}{
		"something to send":      {some, "", schemas.ListRef{ID: 7, Created: true}, "fc", 1, ""},
		"nothing to send":        {schemas.Manifest{Attempt: "a"}, "", schemas.ListRef{}, "f", 0, "Iterable has no list named"},
		"aborted":                {rejected, schemas.UpdateAbort, schemas.ListRef{}, "f", 0, ""},
		"approved":               {rejected, schemas.UpdateApprove, schemas.ListRef{ID: 7, Created: true}, "fc", 1, ""},
		"created by this run":    {some, "", schemas.ListRef{ID: 7, Ours: true}, "fc", 1, ""}, // whose worker died then
		"created by another one": {some, "", schemas.ListRef{ID: 8, Size: 100}, "fcf", 1, `started over once; the last time because of this: list "High-value" was created by something else`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ensured, there := "", schemas.ListRef{}
			w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
				func(_ context.Context, in schemas.EnsureListInput) (schemas.ListRef, error) {
					if !in.Create {
						ensured += "f"
						return there, nil
					}
					ensured += "c"
					there = c.created
					return c.created, nil
				})
			w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(c.staged, nil)
			w.goesWell(1)
			w.RegisterDelayedCallback(func() {
				if c.answer != "" {
					w.answer(c.answer)
				}
			}, time.Minute)
			in := input
			in.Export.Guardrails.AllowEmpty = true
			w.ExecuteWorkflow(ExportSegment, in)
			require.Equal(t, c.answer == schemas.UpdateAbort, w.GetWorkflowError() != nil)
			require.Equal(t, c.ensured, ensured)
			require.Len(t, w.uploads, c.uploads)
			for _, u := range w.uploads {
				require.Equal(t, c.created.ID, u.ListID)
			}
			if c.answer != schemas.UpdateAbort {
				require.Equal(t, c.created.ID, w.report().ListID)
				require.Contains(t, strings.Join(w.report().Warnings, "; "), c.warned)
			}
		})
	}
}

func TestNothingToSendMakesNoUpload(t *testing.T) {
	w := newWorld(t)
	w.goesWell(0)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Empty(t, w.uploads)
}

func TestWaitsForAnOperatorAndGoesOnAtRetry(t *testing.T) {
	w := newWorld(t)
	tries := 0
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.EnsureListInput) (schemas.ListRef, error) {
			if tries++; tries == 1 {
				return schemas.ListRef{}, needsOperator(schemas.ErrorKeyRejected)
			}
			return schemas.ListRef{ID: 7}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() {
		p := w.progress()
		require.Equal(t, schemas.StateWaiting, p.State)
		require.Equal(t, schemas.ActivityEnsureList, p.Waiting.Step)
		require.Equal(t, schemas.ErrorKeyRejected, p.Waiting.Type)
		require.Equal(t, "trouble", p.Waiting.Message)
		w.answer(schemas.UpdateApprove)
		w.answer(schemas.UpdateRetry)
	}, 48*time.Hour) // far beyond the deadline: waiting does not count
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, 2, tries)
	require.Len(t, w.refused, 1)
	require.Contains(t, w.refused[0], "waits for [retry abort]")
	require.Equal(t, schemas.StateDone, w.report().State)
}

func TestAnswersAreRefusedWhenNothingWaits(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).After(time.Minute).Return(schemas.Manifest{Read: 1, Unchanged: 1}, nil)
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateRetry) }, 30*time.Second)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, w.refused, 1)
	require.Contains(t, w.refused[0], "not waiting")
}

func TestAbortEndsARunAndLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(schemas.Manifest{}, needsOperator(schemas.ErrorSegmentUnreadable))
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateAbort) }, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	var app *temporal.ApplicationError
	require.ErrorAs(t, w.GetWorkflowError(), &app)
	require.Equal(t, schemas.ErrorAborted, app.Type())
	require.Len(t, w.closed, 1)
	require.Equal(t, schemas.StateAborted, w.closed[0].Report.State)
	var r schemas.ExportReport
	require.NoError(t, app.Details(&r))
	require.Equal(t, schemas.StateAborted, r.State)
	require.Empty(t, w.uploads)
}

func TestARunWhoseSegmentChangedStartsOver(t *testing.T) {
	w := newWorld(t)
	inspected, staged := 0, 0
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.InspectInput) (schemas.SegmentInfo, error) {
			inspected++
			return schemas.SegmentInfo{Fingerprint: fmt.Sprint(inspected)}, nil
		})
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.StageInput) (schemas.Manifest, error) {
			if staged++; staged == 1 {
				return schemas.Manifest{}, needsOperator(schemas.ErrorSegmentChanged)
			}
			require.Equal(t, "2", in.Info.Fingerprint)
			return schemas.Manifest{Adds: 1, AddBatches: 1}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateRetry) }, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, 2, inspected)
}

func TestARetriedChunkGoesOnWhereItStopped(t *testing.T) {
	w := newWorld(t)
	var second []schemas.UploadInput
	failed := false
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.UploadInput) (schemas.UploadCounts, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if in.First == 0 && !failed {
				failed = true
				return schemas.UploadCounts{}, needsOperator(schemas.ErrorKeyRejected,
					schemas.UploadProgress{Next: 40, Done: []int{42}, Counts: schemas.UploadCounts{Requests: 41, Sent: 41}})
			}
			if failed && in.Resume != nil {
				second = append(second, in)
				return schemas.UploadCounts{Requests: 100, Sent: 100}, nil
			}
			n := int64(in.End - in.First)
			return schemas.UploadCounts{Requests: n, Sent: n}, nil
		})
	w.goesWell(150)
	w.RegisterDelayedCallback(func() {
		require.EqualValues(t, 91, w.progress().Report.Upload.Sent) // 41, and the 50 of the other chunk
		w.answer(schemas.UpdateRetry)
	}, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, second, 1)
	require.Equal(t, 40, second[0].Resume.Next)
	require.Equal(t, []int{42}, second[0].Resume.Done)
	require.EqualValues(t, 150, w.report().Upload.Sent)
}

// TestAnAbortedRunSaysWhatItSent: of chunks that did not get through too.
func TestAnAbortedRunSaysWhatItSent(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.UploadInput) (schemas.UploadCounts, error) {
			if in.First == 0 {
				return schemas.UploadCounts{}, needsOperator(schemas.ErrorKeyRejected, schemas.UploadProgress{
					Next: 40, Counts: schemas.UploadCounts{Requests: 41, Sent: 40, Refused: map[schemas.Reason]int64{schemas.ReasonIterableForgotten: 1}},
				})
			}
			return schemas.UploadCounts{Requests: 50, Sent: 50}, nil
		})
	w.goesWell(150)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateAbort) }, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.Error(t, w.GetWorkflowError())
	require.Len(t, w.closed, 1)
	require.EqualValues(t, 90, w.closed[0].Report.Upload.Sent)
	require.EqualValues(t, 91, w.closed[0].Report.Upload.Requests)
	require.EqualValues(t, 1, w.closed[0].Report.Rejected[schemas.ReasonIterableForgotten])
}

// TestAChunkThatIsDoneFirstIsCounted: its activity has ended, so no heartbeat counts it, while the
// one ahead of it goes on.
func TestAChunkThatIsDoneFirstIsCounted(t *testing.T) {
	w := newWorld(t)
	first := mock.MatchedBy(func(in schemas.UploadInput) bool { return in.First == 0 })
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, first).After(time.Hour).Return(schemas.UploadCounts{Requests: 100, Sent: 100}, nil)
	w.goesWell(150)
	before := w.Now()
	w.RegisterDelayedCallback(func() {
		require.EqualValues(t, 50, w.progress().Report.Upload.Sent)
	}, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.GreaterOrEqual(t, w.Now().Sub(before), time.Hour)
	require.EqualValues(t, 150, w.report().Upload.Sent)
	require.EqualValues(t, 150, w.progress().Report.Upload.Sent)
}

func TestALongUploadGoesOnInANewExecution(t *testing.T) {
	first := FirstChunk * (1 + 2 + 4 + 8*(ChunksPerExecution-3)) // of the first execution
	batches := first + 250
	w := newWorld(t)
	w.goesWell(batches)
	w.ExecuteWorkflow(ExportSegment, input)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, w.GetWorkflowError(), &again)
	var in schemas.SegmentInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
	require.Equal(t, first, in.Resume.Added)
	require.Empty(t, w.closed)

	next := newWorld(t)
	next.goesWell(0)
	next.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, next.GetWorkflowError())
	require.EqualValues(t, batches, next.report().Upload.Sent)
	for _, u := range next.uploads {
		require.GreaterOrEqual(t, u.First, first)
	}
}

// TestAnUploadThatGoesOnCanStartOver: what a new execution took over is of no use
// once the list is gone.
func TestAnUploadThatGoesOnCanStartOver(t *testing.T) {
	w := newWorld(t)
	sent := 0
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.UploadInput) (schemas.UploadCounts, error) {
			if sent++; sent == 1 {
				return schemas.UploadCounts{}, needsOperator(schemas.ErrorListGone, schemas.UploadProgress{Next: 1, Counts: schemas.UploadCounts{Requests: 2, Sent: 5}})
			}
			return schemas.UploadCounts{Requests: 1, Sent: 1}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateRetry) }, time.Minute)
	in := input
	in.Resume = &schemas.SegmentResume{
		Report: schemas.ExportReport{
			State: schemas.StateRunning, ListID: 3, Manifest: schemas.Manifest{Attempt: "a", Adds: 2, AddBatches: 2}, Upload: schemas.UploadCounts{Requests: 1, Sent: 3},
		},
		List: schemas.ListRef{ID: 3}, Added: 1,
	}
	w.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, w.GetWorkflowError())
	require.EqualValues(t, 7, w.report().ListID)
	require.EqualValues(t, 1, w.report().Upload.Sent)
	// What was sent before is in the report, too.
	require.Equal(t, 1, w.report().StartedOver)
	require.EqualValues(t, 8, w.report().Earlier.Sent)
	require.EqualValues(t, 3, w.report().Earlier.Requests)
	require.Contains(t, strings.Join(w.report().Warnings, "; "), "the run started over once; the last time because of this: trouble; by then, 8 profiles were sent and 0 removed")
}

func TestCancellingLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).After(time.Hour).Return(schemas.UploadCounts{}, nil)
	w.goesWell(1)
	w.RegisterDelayedCallback(w.CancelWorkflow, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.True(t, temporal.IsCanceledError(w.GetWorkflowError()) || strings.Contains(w.GetWorkflowError().Error(), "canceled"), w.GetWorkflowError())
	require.Len(t, w.closed, 1)
	require.Equal(t, schemas.StateCancelled, w.closed[0].Report.State)
}

// TestWhatTemporalGivesUpWaits: the error is the last failure where the time of an
// activity ended between two tries, and only its retry state says so. The test environment
// does as the server does.
func TestWhatTemporalGivesUpWaits(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(
		func() func(context.Context, schemas.InspectInput) (schemas.SegmentInfo, error) {
			tries := 0
			return func(context.Context, schemas.InspectInput) (schemas.SegmentInfo, error) {
				if tries++; tries == 1 {
					return schemas.SegmentInfo{}, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE,
						temporal.NewApplicationError("the disk is away", ""))
				}
				return schemas.SegmentInfo{}, nil
			}
		}())
	w.goesWell(0)
	waits := 0
	w.RegisterDelayedCallback(func() {
		p := w.progress()
		require.NotNil(t, p.Waiting)
		waits++
		require.Equal(t, schemas.ErrorDeadline, p.Waiting.Type)
		require.Contains(t, p.Waiting.Message, "the disk is away")
		w.answer(schemas.UpdateRetry)
	}, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, 1, waits)
}

// TestAnAnswerIsForOneWait: the command that was printed for another wait, of this run or
// of an earlier one, does nothing.
func TestAnAnswerIsForOneWait(t *testing.T) {
	w := newWorld(t)
	tries := 0
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.EnsureListInput) (schemas.ListRef, error) {
			if tries++; tries <= 2 {
				return schemas.ListRef{}, needsOperator(schemas.ErrorKeyRejected)
			}
			return schemas.ListRef{ID: 7}, nil
		})
	w.goesWell(1)
	var first string
	w.RegisterDelayedCallback(func() {
		first = w.wait()
		w.answerTo(schemas.UpdateRetry, "")
		w.answerTo(schemas.UpdateRetry, "01234567-1") // yesterday's
	}, time.Hour)
	w.RegisterDelayedCallback(func() {
		require.Equal(t, 1, tries)
		w.answerTo(schemas.UpdateRetry, first)
	}, 2*time.Hour)
	w.RegisterDelayedCallback(func() {
		require.Equal(t, 2, tries)
		require.NotEqual(t, first, w.wait())
		w.answerTo(schemas.UpdateRetry, first) // the same command again
	}, 3*time.Hour)
	w.RegisterDelayedCallback(func() {
		require.Equal(t, 2, tries)
		w.answer(schemas.UpdateRetry)
	}, 4*time.Hour)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, w.refused, 3)
	require.Contains(t, w.refused[0], "does not name the wait")
	require.Contains(t, w.refused[1], "the run now waits for something else, at EnsureList")
	require.Contains(t, w.refused[2], "the run now waits for something else, at EnsureList")
}

// TestAListIsHandedOverByTheAnswerToThatQuestion.
func TestAListIsHandedOverByTheAnswerToThatQuestion(t *testing.T) {
	w := newWorld(t)
	var taken []string
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.EnsureListInput) (schemas.ListRef, error) {
			taken = append(taken, in.TakeFrom)
			if in.TakeFrom != "trouble" {
				return schemas.ListRef{}, needsOperator(schemas.ErrorListOwned)
			}
			return schemas.ListRef{ID: 7}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateApprove) }, time.Hour)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, []string{"", "trouble"}, taken)
}

// TestAConnectionThatNobodyServesWaits: busy workers are waited for, missing ones are
// reported.
func TestAConnectionThatNobodyServesWaits(t *testing.T) {
	w := newWorld(t)
	tries, served := 0, 0
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.EnsureListInput) (schemas.ListRef, error) {
			if tries++; tries <= 2 {
				return schemas.ListRef{}, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil)
			}
			return schemas.ListRef{ID: 7}, nil
		})
	w.OnActivity(schemas.ActivityServed, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.ServedInput) (schemas.ServedResult, error) {
			require.Equal(t, "marketing", in.Connection)
			served++
			return schemas.ServedResult{Served: served == 1, Why: "no worker serves it"}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() {
		p := w.progress()
		require.NotNil(t, p.Waiting)
		require.Equal(t, schemas.ErrorNoWorker, p.Waiting.Type)
		require.Equal(t, "no worker serves it", p.Waiting.Message)
		w.answer(schemas.UpdateRetry)
	}, time.Hour)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, 2, served)
}

// TestAReportCountsTheWaitForConsent: it begins with the run, and not after its first wait.
func TestAReportCountsTheWaitForConsent(t *testing.T) {
	w := newWorld(t)
	stub[schemas.RunReportInput, string](w, schemas.ActivityWriteRunReport)
	began, agreed := w.Now(), false
	w.OnActivity(schemas.ActivityAuthorize, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.AuthorizeInput) (schemas.AuthorizeResult, error) {
			if !agreed {
				return schemas.AuthorizeResult{}, needsOperator(schemas.ErrorNoConsent)
			}
			return schemas.AuthorizeResult{Connection: schemas.ConnectionInfo{Name: "marketing", TaskQueue: "q"}}, nil
		})
	var reported []time.Time
	w.OnActivity(schemas.ActivityWriteRunReport, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.RunReportInput) (string, error) {
			reported = append(reported, in.StartedAt)
			return "report.html", nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() {
		agreed = true
		w.answer(schemas.UpdateRetry)
	}, 3*time.Hour)
	w.ExecuteWorkflow(RunExport, schemas.RunInput{Export: schemas.Export{
		Name: "Spring", Connection: "marketing", Email: "email", Segments: []schemas.Segment{{Name: "a", Source: "a.parquet"}},
	}})
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, reported, 1)
	require.WithinDuration(t, began, reported[0], time.Minute)
	require.Greater(t, w.Now().Sub(reported[0]), 2*time.Hour)
}

func TestOneFailingSegmentDoesNotStopTheOthers(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityAuthorize, mock.Anything, mock.Anything).Return(
		schemas.AuthorizeResult{Connection: schemas.ConnectionInfo{Name: "marketing", TaskQueue: "q"}}, nil)
	w.goesWell(1)
	w.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.Anything).Return(
		func(_ workflow.Context, in schemas.SegmentInput) (schemas.ExportReport, error) {
			r := schemas.ExportReport{Segment: in.Segment.Name, State: schemas.StateDone}
			if in.Segment.Name == "b" {
				r.State, r.Error = schemas.StateAborted, "aborted by ann"
				return r, temporal.NewApplicationErrorWithOptions(r.Error, schemas.ErrorAborted,
					temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{r}})
			}
			return r, nil
		})
	w.ExecuteWorkflow(RunExport, schemas.RunInput{Export: schemas.Export{
		Name: "Spring", Connection: "marketing", Segments: []schemas.Segment{{Name: "a"}, {Name: "b"}, {Name: "c"}},
	}})
	var app *temporal.ApplicationError
	require.ErrorAs(t, w.GetWorkflowError(), &app)
	require.Equal(t, schemas.ErrorSegmentsFailed, app.Type())
	require.Contains(t, app.Message(), "1 of 3")
	require.Contains(t, app.Message(), "\"b\" aborted")
	var r schemas.RunResult
	require.NoError(t, app.Details(&r))
	require.Len(t, r.Segments, 3)
	require.Equal(t, schemas.StateAborted, r.Segments[1].State)
	require.Equal(t, "aborted by ann", r.Segments[1].Error)
	require.Equal(t, schemas.StateDone, r.Segments[2].State)
}

// TestClashingFieldTypesAreLookedAtAnew has an operator correct the segment: its
// columns are inspected again, and the warnings of both steps reach the report.
func TestClashingFieldTypesAreLookedAtAnew(t *testing.T) {
	w := newWorld(t)
	inspected := 0
	w.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(
		func(context.Context, schemas.InspectInput) (schemas.SegmentInfo, error) {
			inspected++
			return schemas.SegmentInfo{Fields: []schemas.MappedField{{Column: "Ltv", Field: "ltv", Type: fmt.Sprint(inspected)}}}, nil
		})
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.EnsureListInput) (schemas.ListRef, error) {
			if in.Fields[0].Type == "1" {
				return schemas.ListRef{}, needsOperator(schemas.ErrorFieldTypes)
			}
			return schemas.ListRef{ID: 7, Warnings: []string{"fractions"}}, nil
		})
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.StageInput) (schemas.Manifest, error) {
			require.Empty(t, in.Info.Fields)
			return schemas.Manifest{Adds: 1, AddBatches: 1, Warnings: []string{"integers"}}, nil
		})
	w.goesWell(1)
	w.RegisterDelayedCallback(func() { w.answer(schemas.UpdateRetry) }, time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Equal(t, 2, inspected)
	require.Equal(t, []string{"fractions", "integers", "the run started over once; the last time because of this: trouble"}, w.report().Warnings)
}

// TestACheckSendsNothing goes through the steps before the first request only,
// and tells what a run would do.
func TestACheckSendsNothing(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.EnsureListInput) (schemas.ListRef, error) {
			require.True(t, in.Check)
			return schemas.ListRef{Clashes: []string{"clash"}}, nil
		})
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
		func(_ context.Context, in schemas.StageInput) (schemas.Manifest, error) {
			require.True(t, in.Check)
			return schemas.Manifest{Read: 100, Adds: 1, Removals: 50, Members: 60, AddBatches: 10, RemoveBatches: 11}, nil
		})
	w.goesWell(1)
	in := input
	in.Check = true
	w.ExecuteWorkflow(ExportSegment, in)
	require.NoError(t, w.GetWorkflowError())
	r := w.report()
	require.Equal(t, schemas.StateDone, r.State)
	require.Empty(t, w.uploads)
	require.Empty(t, w.commits)
	require.Len(t, w.closed, 1)
	require.True(t, w.closed[0].Check)
	require.True(t, r.Check.NoList)
	require.EqualValues(t, 21, r.Check.Requests)
	require.Equal(t, schemas.Duration(5*time.Second), r.Check.Estimate) // 21 requests, 5 a second
	require.Equal(t, []string{"clash"}, r.Check.Clashes)
	require.Len(t, r.Check.Guardrails, 2) // removals, and shrunk
}

// TestACheckWaitsForNobody ends with what can't be cured.
func TestACheckWaitsForNobody(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(schemas.Manifest{}, needsOperator(schemas.ErrorSegmentUnreadable))
	w.goesWell(1)
	in := input
	in.Check = true
	w.ExecuteWorkflow(ExportSegment, in)
	var app *temporal.ApplicationError
	require.ErrorAs(t, w.GetWorkflowError(), &app)
	require.Equal(t, "trouble", app.Message())
	require.Len(t, w.closed, 1)
	require.True(t, w.closed[0].Check)
}

// TestAReportOfBeforeIsTakenOverWhole: a run that was done, and reset in Temporal, gets its
// first report, with nothing of what it staged since.
func TestAReportOfBeforeIsTakenOverWhole(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
		schemas.Manifest{Read: 10, Unchanged: 9, Rejected: map[schemas.Reason]int64{schemas.ReasonIterableForgotten: 1}}, nil)
	w.OnActivity(schemas.ActivityCommitSnapshot, mock.Anything, mock.Anything).Return(
		schemas.ExportReport{State: schemas.StateDone, Manifest: schemas.Manifest{Read: 10, Adds: 10}}, nil)
	w.goesWell(1)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Empty(t, w.report().Manifest.Rejected)
}
