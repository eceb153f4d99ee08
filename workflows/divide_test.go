package workflows

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// dividing is a run of an export with a divided segment and a plain one.
type dividing struct {
	*world
	inspected []string
	staged    map[string]schemas.StageInput
	closing   []schemas.CloseDividedInput
}

func newDividing(t *testing.T, lists ...schemas.ListPart) *dividing {
	d := &dividing{world: newWorld(t), staged: map[string]schemas.StageInput{}}
	stub[schemas.DivideInput, schemas.DivideResult](d.world, schemas.ActivityDivideSegment)
	stub[schemas.CloseDividedInput, schemas.ExportReport](d.world, schemas.ActivityCloseDivided)
	stub[schemas.RunReportInput, string](d.world, schemas.ActivityWriteRunReport)
	d.OnActivity(schemas.ActivityAuthorize, mock.Anything, mock.Anything).Return(schemas.AuthorizeResult{Connection: schemas.ConnectionInfo{Name: "marketing", TaskQueue: "q"}}, nil)
	d.OnActivity(schemas.ActivityWriteRunReport, mock.Anything, mock.Anything).Return("report.html", nil).Maybe()
	d.OnActivity(schemas.ActivityInspectSegment, mock.Anything, mock.Anything).Return(func(_ context.Context, in schemas.InspectInput) (schemas.SegmentInfo, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.inspected = append(d.inspected, in.Segment.Name)
		return schemas.SegmentInfo{Files: 1, Rows: 10, Fields: []schemas.MappedField{{Column: "City", Field: "City"}}}, nil
	})
	d.OnActivity(schemas.ActivityDivideSegment, mock.Anything, mock.Anything).Return(schemas.DivideResult{
		Manifest: schemas.Manifest{Read: 10, Attempt: "a1"}, Divided: schemas.Divided{Lists: lists, WithoutValue: 1},
	}, nil).Maybe()
	d.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(func(_ context.Context, in schemas.StageInput) (schemas.Manifest, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.staged[in.Segment.Name] = in
		if in.Info.Rows == 0 {
			return schemas.Manifest{Attempt: "s", Removals: 2, Members: 2, RemoveBatches: 1}, nil
		}
		return schemas.Manifest{Attempt: "s", Read: in.Info.Rows, Adds: in.Info.Rows, AddBatches: 1}, nil
	}).Maybe()
	d.OnActivity(schemas.ActivityCloseDivided, mock.Anything, mock.Anything).Return(func(_ context.Context, in schemas.CloseDividedInput) (schemas.ExportReport, error) {
		d.closing = append(d.closing, in)
		return in.Report, nil
	}).Maybe()
	d.goesWell(1)
	return d
}

func (d *dividing) run(guardrails schemas.Guardrails) (result schemas.RunResult, err error) {
	d.ExecuteWorkflow(RunExport, schemas.RunInput{Export: schemas.Export{
		Name: "Spring", Connection: "marketing", Email: "email", Settings: schemas.Settings{Guardrails: guardrails},
		Segments: []schemas.Segment{{Name: "In {Country}", Source: "s.parquet", ForEach: "Country"}, {Name: "All", Source: "s.parquet"}},
	}})
	if err = d.GetWorkflowError(); err == nil {
		require.NoError(d.t, d.GetWorkflowResult(&result))
	}
	return result, err
}

func TestEachListOfASegmentHasARun(t *testing.T) {
	d := newDividing(t, schemas.ListPart{List: "In NO", Rows: 6}, schemas.ListPart{List: "In SE", Rows: 3}, schemas.ListPart{List: "In DK", Vanished: true})
	most := 1.0
	r, err := d.run(schemas.Guardrails{AllowEmpty: true, MaxRemovedShare: &most})
	require.NoError(t, err)
	var got []string
	for _, s := range r.Segments {
		got = append(got, fmt.Sprintf("%s of %q: %s, %d read", s.Segment, s.Of, s.State, s.Manifest.Read))
	}
	require.Equal(t, []string{
		`In {Country} of "": done, 10 read`, `In NO of "In {Country}": done, 6 read`, `In SE of "In {Country}": done, 3 read`,
		`In DK of "In {Country}": done, 0 read`, `All of "": done, 10 read`,
	}, got)
	slices.Sort(d.inspected)
	require.Equal(t, []string{"All", "In {Country}"}, d.inspected, "the source is looked at once for all lists")
	in := d.staged["In NO"]
	require.Equal(t, "a1", in.Divided)
	require.Equal(t, schemas.Segment{Name: "In NO", Source: "s.parquet", Of: "In {Country}"}, in.Segment)
	require.Len(t, d.closing, 1)
	require.Equal(t, []string{"In DK"}, d.closing[0].Emptied)
	require.True(t, d.closing[0].Done)
	require.True(t, strings.Contains(strings.Join(r.Segments[3].Warnings, ""), "no row of segment"), r.Segments[3].Warnings)
	require.Empty(t, r.Segments[0].Info.Fields)
}

// TestAListCanFail: the others go on, and the list stays known.
func TestAListCanFail(t *testing.T) {
	d := newDividing(t, schemas.ListPart{List: "In NO", Rows: 6}, schemas.ListPart{List: "In DK", Vanished: true})
	d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.MatchedBy(func(in schemas.SegmentInput) bool { return in.Segment.Name == "In DK" })).
		Return(schemas.ExportReport{}, temporal.NewNonRetryableApplicationError("no", "", nil))
	d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.Anything).Return(ExportSegment)
	_, err := d.run(schemas.Guardrails{})
	require.ErrorContains(t, err, `1 of 3 segments were not exported: "In DK" failed`)
	require.False(t, d.closing[0].Done)
	require.Empty(t, d.closing[0].Emptied)
}

// TestASegmentThatCanNotBeDivided: its lists keep their members.
func TestASegmentThatCanNotBeDivided(t *testing.T) {
	d := newDividing(t)
	d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.MatchedBy(func(in schemas.SegmentInput) bool { return in.Segment.Divided() })).
		Return(schemas.ExportReport{}, temporal.NewNonRetryableApplicationError("too many values", "", nil))
	d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.Anything).Return(ExportSegment)
	_, err := d.run(schemas.Guardrails{})
	require.ErrorContains(t, err, `1 of 2 segments were not exported: "In {Country}" failed`)
	require.Empty(t, d.closing)
}

// TestAListIsEmptyWhenIterableHasAnsweredForAll: failures that Iterable counts without names are of
// members that may stay.
func TestAListIsEmptyWhenIterableHasAnsweredForAll(t *testing.T) {
	for name, one := range map[string]schemas.ExportReport{
		"":           {State: schemas.StateDone},
		"unnamed":    {State: schemas.StateDone, Upload: schemas.UploadCounts{Unnamed: 1}},
		"notRemoved": {State: schemas.StateDone, Upload: schemas.UploadCounts{NotRemoved: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDividing(t, schemas.ListPart{List: "In DK", Vanished: true})
			d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.MatchedBy(func(in schemas.SegmentInput) bool { return in.Segment.Name == "In DK" })).Return(one, nil)
			d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.Anything).Return(ExportSegment)
			_, err := d.run(schemas.Guardrails{})
			require.NoError(t, err)
			require.Equal(t, name == "", len(d.closing[0].Emptied) == 1)
		})
	}
}

// TestManyListsStartInGroups: the commands of one workflow task stay below Temporal's 4 MB.
func TestManyListsStartInGroups(t *testing.T) {
	var lists []schemas.ListPart
	for i := range 2*startedTogether + 1 {
		lists = append(lists, schemas.ListPart{List: fmt.Sprintf("In %02d", i), Rows: 1})
	}
	d := newDividing(t, lists...)
	together := 0 // when the first list's run starts
	d.SetOnChildWorkflowStartedListener(func(_ *workflow.Info, _ workflow.Context, args converter.EncodedValues) {
		var in schemas.SegmentInput
		if args.Get(&in) != nil || in.Segment.Of == "" || together > 0 {
			return
		}
		v, err := d.QueryWorkflow(schemas.QueryProgress)
		require.NoError(t, err)
		var p schemas.RunProgress
		require.NoError(t, v.Get(&p))
		together = len(p.Segments) - 2
	})
	d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.MatchedBy(func(in schemas.SegmentInput) bool { return in.Segment.Of != "" })).
		Return(schemas.ExportReport{State: schemas.StateDone}, nil)
	d.OnWorkflow(schemas.WorkflowExportSegment, mock.Anything, mock.Anything).Return(ExportSegment)
	r, err := d.run(schemas.Guardrails{})
	require.NoError(t, err)
	require.Len(t, r.Segments, len(lists)+2)
	require.Equal(t, startedTogether, together)
}

// TestAKeptListDoesNotAsk: it has no rows, and that is as it should be.
func TestAKeptListDoesNotAsk(t *testing.T) {
	m := schemas.Manifest{Kept: true, Members: 100, Removals: 1, SuppressedRemovals: 1}
	require.Empty(t, Tripped(schemas.Guardrails{}, 0, m))
	m.Kept = false
	require.Len(t, Tripped(schemas.Guardrails{}, 0, m), 1)
}

// TestAllListsAborted: the divided segment, which was only read, counts neither as exported nor as
// not.
func TestAllListsAborted(t *testing.T) {
	result := schemas.RunResult{Segments: []schemas.ExportReport{
		{Segment: "In {Country}", State: schemas.StateDone, Divided: &schemas.Divided{}},
		{Segment: "In NO", Of: "In {Country}", State: schemas.StateAborted}, {Segment: "In SE", Of: "In {Country}", State: schemas.StateAborted},
	}}
	e := newEnvironment()
	e.ExecuteWorkflow(func(ctx workflow.Context) error { return unfinished(ctx, result) })
	var app *temporal.ApplicationError
	require.ErrorAs(t, e.GetWorkflowError(), &app)
	require.Equal(t, schemas.ErrorAborted, app.Type())
	require.Contains(t, app.Message(), "2 of 2 segments")
}
