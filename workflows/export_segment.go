package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// exportSegment is the state of one ExportSegment execution.
type exportSegment struct {
	in       schemas.SegmentInput
	operator *operator
	step     string

	info   schemas.SegmentInfo
	fields []schemas.MappedField
	list   schemas.ListRef
	report schemas.ExportReport
	upload upload
	tags   tags
}

// ExportSegment makes one list in Iterable equal to one segment. It returns the
// report of what it did; when it ends otherwise, the report is in the error's
// details.
func ExportSegment(ctx workflow.Context, in schemas.SegmentInput) (schemas.ExportReport, error) {
	s := &exportSegment{in: in, tags: tags{wanted: in.SearchAttributes}}
	if err := s.setup(ctx); err != nil {
		return s.report, err
	}
	return s.report, s.end(ctx, s.run(ctx))
}

func (s *exportSegment) setup(ctx workflow.Context) error {
	s.report = schemas.ExportReport{
		Connection: s.in.Run.Connection, Export: s.in.Run.Export, RunID: s.in.Run.RunID, Segment: s.in.Segment.Name,
		State: schemas.StateRunning, StartedAt: workflow.Now(ctx),
	}
	if r := s.in.Resume; r != nil {
		s.report, s.info, s.list, s.fields = r.Report, r.Info, r.List, r.Fields
	}
	var err error
	if s.operator, err = listen(ctx, s.in.Connection.Name, s.show); err != nil {
		return err
	}
	s.operator.absent = s.in.Check
	s.operator.tell = func(ctx workflow.Context, w schemas.Waiting) {
		notify(ctx, s.in.Export.Notify, waits(s.in.Run.Export, s.in.Export.Connection, s.in.Run.RunID, s.in.Segment.Name, w))
	}
	return workflow.SetQueryHandler(ctx, schemas.QueryProgress, func() (schemas.Progress, error) {
		return s.progress(), nil
	})
}

// run takes a segment through its steps. A step that no retry cures waits for
// an operator; when what was prepared is no longer true (the segment's files
// changed, the list was deleted), it starts over.
func (s *exportSegment) run(ctx workflow.Context) error {
	if s.in.Check {
		return s.check(ctx)
	}
	if s.in.Resume != nil {
		s.upload.resume(s.in.Resume)
		if err := s.finish(ctx); err != errStartOver {
			return err
		}
	}
	for {
		err := s.prepare(ctx)
		if err == nil {
			err = s.finish(ctx)
		}
		if err != errStartOver {
			return err
		}
	}
}

// startOver puts what was sent so far with what the report says of earlier starts.
func (s *exportSegment) startOver() {
	if s.report.Manifest.Attempt == "" {
		return // nothing was staged yet
	}
	s.report.StartedOver++
	s.report.Earlier.Add(s.sent())
	s.report.Manifest = schemas.Manifest{}
}

// prepare does everything up to the first profile sent.
func (s *exportSegment) prepare(ctx workflow.Context) error {
	s.startOver()
	s.upload = upload{}
	s.report.Upload = schemas.UploadCounts{}
	if err := s.inspectSegment(ctx); err != nil {
		return err
	}
	if err := s.ensureList(ctx); err != nil {
		return err
	}
	if err := s.stageSegment(ctx); err != nil {
		return err
	}
	return s.guardrails(ctx)
}

// finish sends what was staged and publishes the outcome. People leave the list
// before others join it, so that somebody whose identity changed stays on it.
func (s *exportSegment) finish(ctx workflow.Context) error {
	if err := s.uploadBatches(ctx, schemas.Unsubscribe); err != nil {
		return err
	}
	if err := s.uploadBatches(ctx, schemas.Subscribe); err != nil {
		return err
	}
	if err := s.verifyList(ctx); err != nil {
		return err
	}
	return s.commitSnapshot(ctx)
}

func (s *exportSegment) inspectSegment(ctx workflow.Context) error {
	return s.do(ctx, schemas.ActivityInspectSegment, func(ctx workflow.Context) error {
		in := schemas.InspectInput{Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection}
		ctx = long(ctx, "Footers of "+s.in.Segment.Source)
		s.info = schemas.SegmentInfo{}
		if err := workflow.ExecuteActivity(ctx, schemas.ActivityInspectSegment, in).Get(ctx, &s.info); err != nil {
			return err
		}
		s.fields, s.info.Fields = s.info.Fields, nil // the steps after EnsureList have no use for them
		return nil
	})
}

func (s *exportSegment) ensureList(ctx workflow.Context) error {
	err := s.do(ctx, schemas.ActivityEnsureList, func(ctx workflow.Context) error {
		in := schemas.EnsureListInput{
			Run: s.in.Run, Connection: s.in.Connection.Name, Host: s.in.Connection.Host, Name: s.in.Segment.Name, ListID: s.in.Segment.ListID,
			Fields: s.fields, NewFields: s.in.Export.NewFields, Check: s.in.Check, TakeFrom: s.operator.approved,
		}
		s.list = schemas.ListRef{}
		ctx = connected(quick(ctx, "List «"+s.in.Segment.Name+"»"), s.in.Connection)
		return workflow.ExecuteActivity(ctx, schemas.ActivityEnsureList, in).Get(ctx, &s.list)
	})
	s.operator.approved = "" // an answer is for one question
	if err == nil && s.list.Pause > 0 {
		err = workflow.Sleep(ctx, time.Duration(s.list.Pause))
	}
	if err == nil {
		s.report.ListID, s.report.ListCreated = s.list.ID, s.report.ListCreated || s.list.Created
	}
	return err
}

func (s *exportSegment) stageSegment(ctx workflow.Context) error {
	return s.do(ctx, schemas.ActivityStageSegment, func(ctx workflow.Context) error {
		in := schemas.StageInput{
			Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection,
			Info: s.info, ListID: s.list.ID, ListSize: s.list.Size, ListOurs: s.list.Ours, ListOwner: s.list.Owner,
			Full: s.in.Full, Check: s.in.Check,
		}
		rows, files := "the rows", "1 file"
		if s.info.Rows >= 0 {
			rows = count(s.info.Rows) + " rows"
		}
		if s.info.Files != 1 {
			files = count(int64(s.info.Files)) + " files"
		}
		ctx = long(ctx, rows+" of "+files)
		s.report.Manifest = schemas.Manifest{}
		err := workflow.ExecuteActivity(ctx, schemas.ActivityStageSegment, in).Get(ctx, &s.report.Manifest)
		s.total()
		return err
	})
}

func (s *exportSegment) verifyList(ctx workflow.Context) error {
	least, most := s.expectedSize()
	var out schemas.VerifyResult
	err := s.do(ctx, schemas.ActivityVerifyList, func(ctx workflow.Context) error {
		in := schemas.VerifyInput{
			Run: s.in.Run, Connection: s.in.Connection.Name, Host: s.in.Connection.Host, ListID: s.list.ID, Least: least, Most: most,
			Size: s.list.Size, Untouched: s.report.Upload.Requests == 0,
		}
		ctx = connected(quick(ctx, fmt.Sprintf("Size of list %d", s.list.ID)), s.in.Connection)
		return workflow.ExecuteActivity(ctx, schemas.ActivityVerifyList, in).Get(ctx, &out)
	})
	s.report.ListSize = out.Size
	if out.Warning != "" {
		s.report.Warnings = append(s.report.Warnings, out.Warning)
	}
	return err
}

func (s *exportSegment) commitSnapshot(ctx workflow.Context) error {
	return s.do(ctx, schemas.ActivityCommitSnapshot, func(ctx workflow.Context) error {
		report := s.report
		report.State, report.Info = schemas.StateDone, s.info
		in := schemas.CommitInput{
			Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection,
			Info: s.info, Report: report, ListOwner: s.list.Owner,
		}
		ctx = long(ctx, "Snapshot and report")
		return s.reported(ctx, workflow.ExecuteActivity(ctx, schemas.ActivityCommitSnapshot, in))
	})
}

// reported takes over the report that an activity returns, which may be one that was written
// before: decoded into the present one, it would leave of that what it does not have.
func (s *exportSegment) reported(ctx workflow.Context, f workflow.Future) error {
	var r schemas.ExportReport
	if err := f.Get(ctx, &r); err != nil {
		return err
	}
	s.report = r
	return nil
}

// do takes one step.
func (s *exportSegment) do(ctx workflow.Context, name string, step func(workflow.Context) error) error {
	s.step = name
	s.show(ctx)
	return s.operator.step(ctx, name, step)
}

// end puts the traces of a run in order that did not come to its end, and turns
// the error into one whose details are the report.
func (s *exportSegment) end(ctx workflow.Context, err error) error {
	if err == nil || workflow.IsContinueAsNewError(err) {
		s.show(ctx)
		return err
	}
	s.report.State = endState(err)
	_, s.report.Error = explain(err)
	s.report.Info, s.report.FinishedAt = s.info, workflow.Now(ctx)
	s.report.Upload, s.upload.partial = s.sent(), schemas.UploadCounts{}
	s.show(ctx)
	tidy, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	in := schemas.CloseInput{
		Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection, Report: s.report,
		Check: s.in.Check,
	}
	tidy = workflow.WithScheduleToCloseTimeout(long(tidy, "Leave nothing behind"), defaultDeadline)
	if e := s.reported(tidy, workflow.ExecuteActivity(tidy, schemas.ActivityCloseRun, in)); e != nil {
		workflow.GetLogger(ctx).Error("staged data could not be removed; the sweeper will", "error", e)
	}
	if temporal.IsCanceledError(err) {
		return temporal.NewCanceledError(s.report)
	}
	kind := ""
	if s.report.State == schemas.StateAborted {
		kind = schemas.ErrorAborted
	}
	return temporal.NewApplicationErrorWithOptions(s.report.Error, kind,
		temporal.ApplicationErrorOptions{NonRetryable: true, Details: []any{s.report}})
}
