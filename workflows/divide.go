package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// divide does the steps of a segment with several lists: it reads the source once, when its data
// is complete, and keeps the rows by list. RunExport then runs ExportSegment for each list.
func (s *exportSegment) divide(ctx workflow.Context) error {
	for {
		err := s.awaitData(ctx)
		if err == nil {
			err = s.divideSegment(ctx)
		}
		if !s.startsOver(err) {
			return err
		}
	}
}

func (s *exportSegment) divideSegment(ctx workflow.Context) error {
	return s.do(ctx, schemas.ActivityDivideSegment, func(ctx workflow.Context) error {
		in := schemas.DivideInput{
			Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection,
			Info: s.info, Began: s.report.StartedAt, Check: s.in.Check,
		}
		var out schemas.DivideResult
		ctx = long(ctx, s.toRead())
		if err := workflow.ExecuteActivity(ctx, schemas.ActivityDivideSegment, in).Get(ctx, &out); err != nil {
			return err
		}
		s.report.Manifest, s.report.Divided = out.Manifest, &out.Divided
		s.total()
		s.report.State, s.report.FinishedAt, s.report.Info = schemas.StateDone, workflow.Now(ctx), s.info
		s.report.Info.Fields = s.fields // for the lists
		return nil
	})
}

// startedTogether is how many runs of lists are started in one workflow task. Temporal accepts 4 MB
// for all commands of a task, and each has the export's settings in its input.
const startedTogether = 20

// exportLists runs the segments of a divided one's lists, once it is divided, and returns the
// reports of all. divided is the run of the divided segment.
func (r *runExport) exportLists(ctx workflow.Context, in schemas.SegmentInput, divided running) []schemas.ExportReport {
	report := r.await(ctx, divided)
	if report.State != schemas.StateDone || report.Divided == nil {
		return []schemas.ExportReport{report}
	}
	info := report.Info
	report.Info.Fields = nil
	var lists []running
	for _, part := range report.Divided.Lists {
		one := in
		one.Segment = in.Segment.Part(part.List)
		one.Run.Segment = part.List
		one.Part = &schemas.PartInput{Attempt: report.Manifest.Attempt, Info: info}
		one.Part.Info.Rows = part.Rows
		if part.Vanished || part.Kept {
			one.Warnings = append(slices.Clone(in.Warnings), fmt.Sprintf("no row of segment %q is for this list any more", in.Segment.Name))
		}
		list := r.start(ctx, one, fmt.Sprintf("Export %q, a list of segment %q", part.List, in.Segment.Name))
		if lists = append(lists, list); len(lists)%startedTogether == 0 && len(lists) < len(report.Divided.Lists) {
			for _, list := range lists[len(lists)-startedTogether:] {
				_ = list.GetChildWorkflowExecution().Get(ctx, nil) // await has the error too
			}
		}
	}
	r.show(ctx)
	reports := []schemas.ExportReport{report}
	for _, list := range lists {
		reports = append(reports, r.await(ctx, list))
	}
	reports[0] = r.closeDivided(ctx, in, reports)
	return reports
}

// closeDivided deletes the divided rows, and keeps which lists there are. It returns the report
// of the divided segment.
func (r *runExport) closeDivided(ctx workflow.Context, in schemas.SegmentInput, reports []schemas.ExportReport) schemas.ExportReport {
	of := schemas.CloseDividedInput{
		Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection, Report: reports[0], Check: in.Check, Done: true,
	}
	for i, list := range reports[0].Divided.Lists {
		one := reports[i+1]
		of.Done = of.Done && one.State == schemas.StateDone
		unsure := one.Manifest.Unconfirmed + one.Upload.Unnamed + one.Upload.NotRemoved
		if list.Vanished && one.State == schemas.StateDone && one.Members == 0 && unsure == 0 {
			of.Emptied = append(of.Emptied, list.List)
		}
	}
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	ctx = workflow.WithScheduleToCloseTimeout(quick(ctx, fmt.Sprintf("Clean up after the lists of %q", in.Segment.Name)), reportTime)
	out := reports[0]
	if err := workflow.ExecuteActivity(ctx, schemas.ActivityCloseDivided, of).Get(ctx, &out); err != nil {
		workflow.GetLogger(ctx).Error("divided rows not deleted; the sweep will delete them", "error", err)
		out = reports[0]
		out.Warnings = append(out.Warnings, "the record of the lists was not updated: "+err.Error())
	}
	return out
}
