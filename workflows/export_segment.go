package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
)

// exportSegment is the state of one ExportSegment execution.
type exportSegment struct {
	in     schemas.SegmentInput
	waiter *waiter
	step   string

	info   schemas.SegmentInfo
	fields []schemas.MappedField
	list   schemas.ListRef
	report schemas.ExportReport
	upload upload
	tags   tags

	data        *schemas.DataWait // set while the run waits for data
	unready     string            // why a run would wait, for a check
	dataWarning string
	restarts    int // by itself, after the files have changed
}

// ExportSegment makes one list in Iterable equal to one segment. It returns a report; if
// it fails, the report is in the error's details.
func ExportSegment(ctx workflow.Context, in schemas.SegmentInput) (schemas.ExportReport, error) {
	s := &exportSegment{in: in, tags: tags{wanted: in.SearchAttributes}}
	if err := s.setup(ctx); err != nil {
		return s.report, err
	}
	err := s.end(ctx, s.run(ctx))
	return s.report, err
}

func (s *exportSegment) setup(ctx workflow.Context) error {
	s.report = schemas.ExportReport{
		Connection: s.in.Run.Connection, Export: s.in.Run.Export, RunID: s.in.Run.RunID, Segment: s.in.Segment.Name, Of: s.in.Segment.Of,
		State: schemas.StateRunning, StartedAt: workflow.Now(ctx),
	}
	if r := s.in.Resume; r != nil {
		s.report, s.info, s.list, s.fields = r.Report, r.Info, r.List, r.Fields
	}
	var err error
	if s.waiter, err = listen(ctx, s.in.Connection.Name, s.show); err != nil {
		return err
	}
	s.waiter.unattended, s.waiter.restart = s.in.Check || s.in.Segment.Trial != nil, s.restart
	s.waiter.notify = func(ctx workflow.Context, w schemas.Waiting) {
		notify(ctx, s.in.Export.Notify, w.Type, waits(s.in.Run.Export, s.in.Export.Connection, s.in.Run.RunID, s.in.Segment.Name, w))
	}
	s.waiter.record = func(a schemas.Answered) { s.report.Answers = append(s.report.Answers, a) }
	return workflow.SetQueryHandler(ctx, schemas.QueryProgress, func() (schemas.Progress, error) {
		return s.progress(), nil
	})
}

// run does the steps of a segment. A step that fails for good waits for an operator. If
// what was prepared is no longer valid (the segment's files changed, the list was deleted),
// the run starts over.
func (s *exportSegment) run(ctx workflow.Context) error {
	if s.in.Segment.Divided() {
		return s.divide(ctx)
	}
	if s.in.Check {
		return s.check(ctx)
	}
	if s.in.Resume != nil {
		s.upload.resume(s.in.Resume)
		if err := s.finish(ctx); !s.startsOver(err) {
			return err
		}
	}
	for {
		err := s.prepare(ctx)
		if err == nil {
			err = s.finish(ctx)
		}
		if !s.startsOver(err) {
			return err
		}
	}
}

// startsOver reports whether err starts the run over. If so, it moves the counts of what was
// sent so far to the report's earlier starts.
func (s *exportSegment) startsOver(err error) bool {
	if err != errStartOver {
		return false
	}
	s.report.StartedOver++
	s.report.StartedOverFor = strings.TrimSuffix(s.waiter.over, schemas.RetryWhenComplete)
	s.report.Earlier.Add(s.sent())
	s.report.Manifest, s.report.Upload, s.upload = schemas.Manifest{}, schemas.UploadCounts{}, upload{}
	s.total()
	return true
}

// prepare does the steps before the first profile is sent.
func (s *exportSegment) prepare(ctx workflow.Context) error {
	if err := s.awaitData(ctx); err != nil {
		return err
	}
	if err := s.ensureList(ctx, false); err != nil {
		return err
	}
	if err := s.stageSegment(ctx); err != nil {
		return err
	}
	if err := s.guardrails(ctx); err != nil {
		return err
	}
	return s.createList(ctx)
}

// createList creates the list if there is none and something will be sent. A list that
// someone else has created since the run looked for it may have members, so the run starts
// over.
func (s *exportSegment) createList(ctx workflow.Context) error {
	if s.list.ID != 0 || s.report.Manifest.ToSend() == 0 {
		return nil
	}
	err := s.ensureList(ctx, true)
	if err == nil && !s.list.Created && !s.list.Ours {
		err, s.waiter.over = errStartOver, fmt.Sprintf("list %q was created by something else", s.in.Segment.Name)
	}
	return err
}

// finish sends what was staged and publishes the outcome. It removes members before it
// adds others, so that a profile whose identity changed stays on the list.
func (s *exportSegment) finish(ctx workflow.Context) error {
	if err := s.uploadBatches(ctx, schemas.Unsubscribe); err != nil {
		return err
	}
	if err := s.uploadBatches(ctx, schemas.Subscribe); err != nil {
		return err
	}
	s.countMembers()
	return s.commitSnapshot(ctx)
}

// inspectSegment reads the footers of the segment's files, if the data is as wanted.
func (s *exportSegment) inspectSegment(ctx workflow.Context, want *schemas.Wanted) error {
	return s.do(ctx, schemas.ActivityInspectSegment, func(ctx workflow.Context) error {
		in := schemas.InspectInput{Run: s.in.Run, Export: s.in.Export, Segment: s.in.Segment, Connection: s.in.Connection, Began: s.report.StartedAt, Wanted: want}
		ctx = long(ctx, "Footers of "+s.in.Segment.Source)
		s.info = schemas.SegmentInfo{}
		if err := workflow.ExecuteActivity(ctx, schemas.ActivityInspectSegment, in).Get(ctx, &s.info); err != nil {
			return err
		}
		s.fields, s.info.Fields = s.info.Fields, nil // the steps after EnsureList don't need them
		return nil
	})
}

func (s *exportSegment) ensureList(ctx workflow.Context, create bool) error {
	before := s.list
	err := s.do(ctx, schemas.ActivityEnsureList, func(ctx workflow.Context) error {
		in := schemas.EnsureListInput{
			Run: s.in.Run, Connection: s.in.Connection.Name, Host: s.in.Connection.Host, Name: s.in.Segment.Name, ListID: s.in.Segment.ListID,
			Fields: s.fields, NewFields: s.in.Export.NewFields, Check: s.in.Check, Create: create, TakeFrom: s.waiter.approved,
		}
		summary := fmt.Sprintf("Find list %q", s.in.Segment.Name)
		if create {
			in.Fields, summary = nil, fmt.Sprintf("Create list %q", s.in.Segment.Name) // the fields were compared before
		}
		s.list = schemas.ListRef{}
		ctx = connected(quick(ctx, summary), s.in.Connection)
		return workflow.ExecuteActivity(ctx, schemas.ActivityEnsureList, in).Get(ctx, &s.list)
	})
	if create {
		s.list.NewFields, s.list.Warnings = before.NewFields, append(before.Warnings, s.list.Warnings...)
	}
	s.waiter.approved = "" // an answer is for one question
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
			Info: s.info, Began: s.report.StartedAt, ListID: s.list.ID, ListSize: s.list.Size, ListOurs: s.list.Ours, ListOwner: s.list.Owner,
			Full: s.in.Full, Check: s.in.Check,
		}
		if s.in.Part != nil {
			in.Divided = s.in.Part.Attempt
		}
		ctx = long(ctx, s.toRead())
		s.report.Manifest, s.upload.waits = schemas.Manifest{}, s.waiter.waits
		err := workflow.ExecuteActivity(ctx, schemas.ActivityStageSegment, in).Get(ctx, &s.report.Manifest)
		s.total()
		return err
	})
}

// toRead returns the size of the segment in words.
func (s *exportSegment) toRead() string {
	rows, files := "the rows", "1 file"
	if s.info.Rows >= 0 {
		rows = count(s.info.Rows) + " rows"
	}
	if s.info.Files != 1 {
		files = count(int64(s.info.Files)) + " files"
	}
	return rows + " of " + files
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

// reported replaces the report by the one that an activity returns, which may have been
// written earlier. Decoding into the present report would keep fields that the returned one
// does not have.
func (s *exportSegment) reported(ctx workflow.Context, f workflow.Future) error {
	var r schemas.ExportReport
	if err := f.Get(ctx, &r); err != nil {
		return err
	}
	s.report = r
	return nil
}

// do runs one step.
func (s *exportSegment) do(ctx workflow.Context, name string, step func(workflow.Context) error) error {
	s.step = name
	s.show(ctx)
	return s.waiter.step(ctx, name, step)
}

// end cleans up after a run that did not finish, and returns an error whose details are the
// report. A run that was skipped has finished.
func (s *exportSegment) end(ctx workflow.Context, err error) error {
	if err == nil || workflow.IsContinueAsNewError(err) {
		s.show(ctx)
		return err
	}
	s.report.State = EndState(err)
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
	tidy = workflow.WithScheduleToCloseTimeout(long(tidy, "Clean up"), defaultDeadline)
	if e := s.reported(tidy, workflow.ExecuteActivity(tidy, schemas.ActivityCloseRun, in)); e != nil {
		workflow.GetLogger(ctx).Error("clean-up failed; the sweep will delete staged data", "error", e)
	}
	if s.report.State == schemas.StateSkipped {
		return nil
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
