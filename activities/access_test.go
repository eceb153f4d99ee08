package activities

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/internal/ledger/ledgertest"
	"iterable-segment-export/internal/notify"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

func isOfType(t *testing.T, err error, kind schemas.ErrorType) {
	t.Helper()
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != kind {
		t.Errorf("%v, want an error of type %s", err, kind)
	}
}

// guarded has the steps want a run with a grant, and lets one in.
func (b *bench) guarded(t *testing.T, in schemas.RunInput) schemas.RunRef {
	t.Helper()
	return b.guardedBy(t, in, schemas.Person{Name: "ann", Role: schemas.RoleAdministrator})
}

func (b *bench) guardedBy(t *testing.T, in schemas.RunInput, ann schemas.Person) schemas.RunRef {
	t.Helper()
	gate, err := access.New(b.Root, []string{accesstest.Secret})
	if err != nil {
		t.Fatal(err)
	}
	b.Activities.Access = gate
	in.Trigger.Kind = schemas.TriggerPerson
	if in, err = gate.GrantRun(t.Context(), ann, in); err != nil {
		t.Fatal(err)
	}
	run := schemas.RunRef{Connection: in.Export.Connection, Export: in.Export.Name, RunID: "r1", Segment: in.Export.Segments[0].Name}
	if err := gate.Admit(t.Context(), run, schemas.RunRecord{RunID: "r1", Input: in, Connection: schemas.ConnectionInfo{Name: in.Export.Connection}, Person: ann}); err != nil {
		t.Fatal(err)
	}
	return run
}

// TestAListOfAnotherConnectionIsNotTakenOver by who may not use that one: neither is the
// question asked, nor does the answer to it that somebody else's run gets help.
func TestAListOfAnotherConnectionIsNotTakenOver(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	connections := twoConnections{b.Connections.(oneConnection)}
	connections.c.Allowed = []string{schemas.AllowContributors}
	b.Activities.Connections, b.Clients.Connections = connections, connections
	in := func(export, connection string, who schemas.Person) schemas.EnsureListInput {
		e := schemas.Export{Name: export, Connection: connection, Segments: []schemas.Segment{{Name: "High-value"}}}
		return schemas.EnsureListInput{Run: b.guardedBy(t, schemas.RunInput{Export: e}, who), Connection: connection, Name: "High-value", Create: true}
	}
	admin, contributor := schemas.Person{Name: "ann", Role: schemas.RoleAdministrator}, schemas.Person{Name: "bob", Role: schemas.RoleContributor}
	list, err := b.ensure(in("Payroll", "owners", admin))
	if err != nil {
		t.Fatal(err)
	}
	mine := in("Mine", "sandbox", contributor)
	_, err = b.ensure(mine)
	isOfType(t, err, schemas.ErrorNotAllowed)
	theirs := in("Shared", "sandbox", admin)
	_, err = b.ensure(theirs)
	isOfType(t, err, schemas.ErrorListForeign)
	var asked *temporal.ApplicationError
	if !errors.As(err, &asked) {
		t.Fatal(err)
	}
	// The question is the same but for the export's name.
	mine.TakeFrom = strings.ReplaceAll(asked.Message(), `"Shared"`, `"Mine"`)
	_, err = b.ensure(mine)
	isOfType(t, err, schemas.ErrorNotAllowed)
	theirs.TakeFrom = asked.Message()
	if got, err := b.ensure(theirs); err != nil || got.ID != list.ID || !got.HandedOver {
		t.Errorf("%+v, %v", got, err)
	}
	// Within a connection that is theirs, it is asked for, and handed over.
	_, err = b.ensure(mine)
	isOfType(t, err, schemas.ErrorListOwned)
	// Nobody's connection, such as one that was taken out of the file, is the administrators'.
	if err := b.disown(t.Context(), "Shared"); err != nil {
		t.Fatal(err)
	}
	_, err = b.ensure(mine)
	isOfType(t, err, schemas.ErrorNotAllowed)
}

// twoConnections has a connection of the administrators too, to the same project.
type twoConnections struct{ oneConnection }

func (o twoConnections) Get(name string) (schemas.Connection, error) {
	if name == "owners" {
		c := o.c
		c.Name, c.Allowed = name, nil
		return c, nil
	}
	return o.oneConnection.Get(name)
}

// TestStepsAreHeldAgainstTheRunsRecord calls the steps of a run with what it was let in with,
// altered in one way or another.
func TestStepsAreHeldAgainstTheRunsRecord(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	e := schemas.Export{Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}}}
	run := b.guarded(t, schemas.RunInput{Export: e})
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	in := schemas.EnsureListInput{Run: run, Connection: "sandbox", Name: "High-value", Create: true}
	list, err := b.ensure(in)
	if err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	refusesAltered(t, b, schemas.ActivityEnsureList, in, map[string]func(*schemas.EnsureListInput){
		"another run":          func(in *schemas.EnsureListInput) { in.Run.RunID = "r2" },
		"another export":       func(in *schemas.EnsureListInput) { in.Run.Export = "Autumn" },
		"another segment":      func(in *schemas.EnsureListInput) { in.Run.Segment, in.Name = "Everybody", "Everybody" },
		"another list":         func(in *schemas.EnsureListInput) { in.ListID = 7 },
		"another place":        func(in *schemas.EnsureListInput) { in.Connection = "production" },
		"another run's place":  func(in *schemas.EnsureListInput) { in.Run.Connection, in.Connection = "production", "production" },
		"a path as the run id": func(in *schemas.EnsureListInput) { in.Run.RunID = "x/../r1" },
	})
	upload := schemas.UploadInput{Attempt: ledgertest.Attempt, Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: list.ID, Kind: schemas.Subscribe, End: 1}
	for name, change := range map[string]func(*schemas.UploadInput){
		"another list":     func(in *schemas.UploadInput) { in.ListID++ },
		"another host":     func(in *schemas.UploadInput) { in.Connection.Host = "evil.example" },
		"another pace":     func(in *schemas.UploadInput) { in.Connection.Limits.RequestsPerSecond = 1e9 },
		"another setting":  func(in *schemas.UploadInput) { in.Settings.Mode = "append" },
		"another run":      func(in *schemas.UploadInput) { in.Run.RunID = "r2" },
		"another's export": func(in *schemas.UploadInput) { in.Run.Connection = "production" },
	} {
		bad := upload
		change(&bad)
		_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, bad)
		var app *temporal.ApplicationError
		if !errors.As(err, &app) || app.Type() != schemas.ErrorGrant && app.Type() != schemas.ErrorNoConnection {
			t.Fatalf("%s: %v", name, err)
		}
	}
	_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, upload)
	isOfType(t, err, schemas.ErrorStaging) // nothing was staged, but it may
	stage := schemas.StageInput{Run: run, Export: e, Segment: e.Segments[0], Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: list.ID}
	stage.Export.Segments = nil
	refusesAltered(t, b, schemas.ActivityStageSegment, stage, map[string]func(*schemas.StageInput){
		"everybody":      func(in *schemas.StageInput) { in.Full = true },
		"as a check":     func(in *schemas.StageInput) { in.Check = true },
		"another source": func(in *schemas.StageInput) { in.Segment.Source = "/etc" },
		"another column": func(in *schemas.StageInput) { in.Export.Email = "x" },
		"another list":   func(in *schemas.StageInput) { in.ListID++ },
	})
	t.Run("before and after sending", func(t *testing.T) { refuseOtherSteps(t, b, stage) })
	if err := b.Access.Revoke(t.Context(), "sandbox", "Spring", "bob"); err != nil {
		t.Fatal(err)
	}
	_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, upload)
	isOfType(t, err, schemas.ErrorGrant)
}

// refuseOtherSteps calls the steps that only read, or that write and delete files. of is what the
// run stages.
func refuseOtherSteps(t *testing.T, b *bench, of schemas.StageInput) {
	for name, step := range map[string]any{
		schemas.ActivityInspectSegment: b.InspectSegment, schemas.ActivityFetchForgotten: b.FetchForgotten,
		schemas.ActivityDivideSegment: b.DivideSegment, schemas.ActivityCloseDivided: b.CloseDivided,
		schemas.ActivityCommitSnapshot: b.CommitSnapshot, schemas.ActivityCloseRun: b.CloseRun,
		schemas.ActivityWriteRunReport: b.WriteRunReport,
	} {
		b.env.RegisterActivityWithOptions(step, activity.RegisterOptions{Name: name})
	}
	report := schemas.ExportReport{Connection: of.Run.Connection, Export: of.Run.Export, RunID: of.Run.RunID, Segment: of.Run.Segment, ListID: of.ListID, State: schemas.StateDone}
	report.Manifest.Attempt = ledgertest.Attempt
	ofAnotherAttempt := report
	ofAnotherAttempt.Manifest.Attempt = "../x"

	inspect := schemas.InspectInput{Run: of.Run, Export: of.Export, Segment: of.Segment, Connection: of.Connection}
	refusesAltered(t, b, schemas.ActivityInspectSegment, inspect, altering(func(in *schemas.InspectInput) parts {
		return parts{&in.Run, &in.Export, &in.Segment, &in.Connection}
	}))
	forgotten := schemas.ForgottenInput{Run: of.Run, Connection: of.Connection}
	forgotten.Run.Segment = ""
	asks := altering(func(in *schemas.ForgottenInput) parts { return parts{run: &in.Run, connection: &in.Connection} })
	delete(asks, "another host") // TestAnUploadGoesWhereItsRunBegan: the error is another one
	refusesAltered(t, b, schemas.ActivityFetchForgotten, forgotten, asks)
	divide := schemas.DivideInput{Run: of.Run, Export: of.Export, Segment: of.Segment, Connection: of.Connection}
	changes := altering(func(in *schemas.DivideInput) parts { return parts{&in.Run, &in.Export, &in.Segment, &in.Connection} })
	changes["as a check"] = func(in *schemas.DivideInput) { in.Check = true }
	refusesAltered(t, b, schemas.ActivityDivideSegment, divide, changes)
	divided := schemas.CloseDividedInput{Run: of.Run, Export: of.Export, Segment: of.Segment, Connection: of.Connection, Report: report}
	closings := altering(func(in *schemas.CloseDividedInput) parts {
		return parts{&in.Run, &in.Export, &in.Segment, &in.Connection}
	})
	closings["as a check"] = func(in *schemas.CloseDividedInput) { in.Check = true }
	closings["another attempt"] = func(in *schemas.CloseDividedInput) { in.Report = ofAnotherAttempt }
	refusesAltered(t, b, schemas.ActivityCloseDivided, divided, closings)
	commit := schemas.CommitInput{Run: of.Run, Export: of.Export, Segment: of.Segment, Connection: of.Connection, Report: report}
	commits := altering(func(in *schemas.CommitInput) parts { return parts{&in.Run, &in.Export, &in.Segment, &in.Connection} })
	commits["another list"] = func(in *schemas.CommitInput) { in.Report.ListID++ }
	commits["another attempt"] = func(in *schemas.CommitInput) { in.Report = ofAnotherAttempt }
	refusesAltered(t, b, schemas.ActivityCommitSnapshot, commit, commits)
	end := schemas.CloseInput{Run: of.Run, Export: of.Export, Segment: of.Segment, Connection: of.Connection, Report: report}
	ends := altering(func(in *schemas.CloseInput) parts { return parts{&in.Run, &in.Export, &in.Segment, &in.Connection} })
	ends["as a check"] = func(in *schemas.CloseInput) { in.Check = true }
	ends["another attempt"] = func(in *schemas.CloseInput) { in.Report = ofAnotherAttempt }
	refusesAltered(t, b, schemas.ActivityCloseRun, end, ends)

	record, err := b.Access.Admitted(t.Context(), of.Run)
	if err != nil {
		t.Fatal(err)
	}
	written := schemas.RunReportInput{
		Export: record.Input.Export, Trigger: record.Input.Trigger, Connection: record.Connection, State: schemas.StateDone,
		Result: schemas.RunResult{Connection: of.Run.Connection, Export: of.Run.Export, RunID: of.Run.RunID, Segments: []schemas.ExportReport{report}},
	}
	about := func(change func(*schemas.ExportReport)) func(*schemas.RunReportInput) {
		return func(in *schemas.RunReportInput) {
			other := report
			change(&other)
			in.Result.Segments = []schemas.ExportReport{other}
		}
	}
	refusesAltered(t, b, schemas.ActivityWriteRunReport, written, map[string]func(*schemas.RunReportInput){
		"another run":      func(in *schemas.RunReportInput) { in.Result.RunID = "r2" },
		"another export":   func(in *schemas.RunReportInput) { in.Export.Name = "Autumn" },
		"another's export": func(in *schemas.RunReportInput) { in.Export.Connection = "production" },
		"another column":   func(in *schemas.RunReportInput) { in.Export.Email = "x" },
		"another source": func(in *schemas.RunReportInput) {
			in.Export.Segments = []schemas.Segment{{Name: "High-value", Source: "/etc"}}
		},
		"another host":           func(in *schemas.RunReportInput) { in.Connection.Host = "evil.example" },
		"another person":         func(in *schemas.RunReportInput) { in.Trigger.Who = "the owner" },
		"a segment of its own":   about(func(r *schemas.ExportReport) { r.Segment = "Everybody" }),
		"another run's segment":  about(func(r *schemas.ExportReport) { r.RunID = "r2" }),
		"another's segment":      about(func(r *schemas.ExportReport) { r.Connection = "production" }),
		"an export's segment":    about(func(r *schemas.ExportReport) { r.Export = "Autumn" }),
		"rejects somewhere else": about(func(r *schemas.ExportReport) { r.Rejects = "../x" }),
	})
	// What was let in may be done, as far as there is something to do. Those that end the run come last.
	for _, c := range []struct {
		step string
		in   any
	}{
		{schemas.ActivityInspectSegment, inspect}, {schemas.ActivityFetchForgotten, forgotten}, {schemas.ActivityDivideSegment, divide},
		{schemas.ActivityCloseDivided, divided}, {schemas.ActivityCommitSnapshot, commit}, {schemas.ActivityCloseRun, end}, {schemas.ActivityWriteRunReport, written},
	} {
		var app *temporal.ApplicationError
		if _, err := b.env.ExecuteActivity(c.step, c.in); errors.As(err, &app) && app.Type() == schemas.ErrorGrant {
			t.Errorf("%s is refused unaltered: %v", c.step, err)
		}
	}
}

// parts are the parts of an input that a run's record has; those that it lacks are nil.
type parts struct {
	run        *schemas.RunRef
	export     *schemas.Export
	segment    *schemas.Segment
	connection *schemas.ConnectionInfo
}

// altering returns a change of each part of an input.
func altering[In any](of func(*In) parts) map[string]func(*In) {
	all := map[string]func(*In){
		"another run":       func(in *In) { of(in).run.RunID = "r2" },
		"another export":    func(in *In) { of(in).run.Export = "Autumn" },
		"another's export":  func(in *In) { of(in).run.Connection = "production" },
		"another host":      func(in *In) { of(in).connection.Host = "evil.example" },
		"another's pace":    func(in *In) { of(in).connection.Limits.RequestsPerSecond = 1e9 },
		"a path as the run": func(in *In) { of(in).run.RunID = "x/../r1" },
	}
	if of(new(In)).segment != nil {
		all["another segment"] = func(in *In) { of(in).run.Segment, of(in).segment.Name = "Everybody", "Everybody" }
		all["another source"] = func(in *In) { of(in).segment.Source = "/etc" }
		all["another column"] = func(in *In) { of(in).export.Email = "x" }
	}
	return all
}

// refusesAltered calls an activity with each change of its input. Its grant covers none of them.
func refusesAltered[In any](t *testing.T, b *bench, activity string, in In, changes map[string]func(*In)) {
	t.Helper()
	for name, change := range changes {
		bad := in
		change(&bad)
		_, err := b.env.ExecuteActivity(activity, bad)
		if isOfType(t, err, schemas.ErrorGrant); t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestAGrantCoversTheListsOfAValue, and nothing else.
func TestAGrantCoversTheListsOfAValue(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	e := schemas.Export{Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "In {Country}", Source: "s", ForEach: "Country"}}}
	run := b.guarded(t, schemas.RunInput{Export: e})
	b.env.RegisterActivityWithOptions(b.StageSegment, activity.RegisterOptions{Name: schemas.ActivityStageSegment})
	run.Segment = "In NO"
	list, err := b.ensure(schemas.EnsureListInput{Run: run, Connection: "sandbox", Name: "In NO", Create: true})
	if err != nil || !list.Created {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, name := range []string{"In {Country}", "Out NO", "In ", "In  NO"} {
		of := run
		of.Segment = name
		_, err := b.ensure(schemas.EnsureListInput{Run: of, Connection: "sandbox", Name: name, Create: true})
		if isOfType(t, err, schemas.ErrorGrant); t.Failed() {
			t.Fatal(name)
		}
	}
	stage := schemas.StageInput{Run: run, Export: e, Segment: e.Segments[0].Part("In NO"), Connection: schemas.ConnectionInfo{Name: "sandbox"}, ListID: list.ID, Divided: ledgertest.Attempt}
	stage.Export.Segments = nil
	refusesAltered(t, b, schemas.ActivityStageSegment, stage, map[string]func(*schemas.StageInput){
		"another source": func(in *schemas.StageInput) { in.Segment.Source = "/etc" },
		"not a part":     func(in *schemas.StageInput) { in.Segment.Of = "" },
		"another part":   func(in *schemas.StageInput) { in.Segment.Name = "In SE" },
		"another list":   func(in *schemas.StageInput) { in.ListID++ },
	})
	_, err = b.env.ExecuteActivity(schemas.ActivityStageSegment, stage)
	isOfType(t, err, schemas.ErrorStaging) // it is not divided, but it may
}

// TestACheckSendsNothing though it has a grant.
func TestACheckSendsNothing(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	run := b.guarded(t, schemas.RunInput{Check: true, Export: schemas.Export{Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}}}})
	_, err := b.ensure(schemas.EnsureListInput{Run: run, Connection: "sandbox", Name: "High-value", Create: true})
	isOfType(t, err, schemas.ErrorGrant)
	if _, err := b.ensure(schemas.EnsureListInput{Run: run, Connection: "sandbox", Name: "High-value", Check: true}); err != nil {
		t.Errorf("a check looks for the list: %v", err)
	}
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
		Attempt: ledgertest.Attempt, Run: run, Connection: schemas.ConnectionInfo{Name: "sandbox"}, Kind: schemas.Subscribe, End: 1,
	})
	isOfType(t, err, schemas.ErrorGrant)
}

// TestAMessageIsAboutARun, and goes only to who is notified of it. Its text is that of whoever
// starts the activity: docs/access.md says so of those who may write to Temporal's namespace.
func TestAMessageIsAboutARun(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	chat := schemas.Notify{URL: schemas.NotifyURL{URL: "https://127.0.0.1:1/chat"}}
	b.guarded(t, schemas.RunInput{Export: schemas.Export{
		Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}}, Notify: []schemas.Notify{chat},
	}})
	var err error
	if b.Notifier, err = notify.New(notify.Options{}); err != nil {
		t.Fatal(err)
	}
	b.env.RegisterActivityWithOptions(b.Notify, activity.RegisterOptions{Name: schemas.ActivityNotify})
	in := schemas.NotifyInput{To: chat, ID: "1", Message: schemas.Message{Data: schemas.Event{
		Event: schemas.EventWaiting, Export: "Spring", Connection: "sandbox", RunID: "r1", Message: "Transfer the money",
	}}}
	refusesAltered(t, b, schemas.ActivityNotify, in, map[string]func(*schemas.NotifyInput){
		"another run":     func(in *schemas.NotifyInput) { in.Message.Data.RunID = "r2" },
		"another export":  func(in *schemas.NotifyInput) { in.Message.Data.Export = "Autumn" },
		"another segment": func(in *schemas.NotifyInput) { in.Message.Data.Segment = "x" },
		"another chat":    func(in *schemas.NotifyInput) { in.To.URL.URL = "https://evil.example" },
	})
	_, err = b.env.ExecuteActivity(schemas.ActivityNotify, in)
	isOfType(t, err, schemas.ErrorNotify) // it is private, but it may
}

// TestAMessageAboutARefusedRun goes to nobody but who was to be told by the export as it was
// granted, and says nothing that the run's input says.
func TestAMessageAboutARefusedRun(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	var body []byte
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer hook.Close()
	chat := schemas.Notify{URL: schemas.NotifyURL{URL: hook.URL + "/chat"}}
	b.guarded(t, schemas.RunInput{Export: schemas.Export{
		Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{{Name: "High-value"}}, Notify: []schemas.Notify{chat},
	}})
	var err error
	if b.Notifier, err = notify.New(notify.Options{Allowed: []string{hook.URL}}); err != nil {
		t.Fatal(err)
	}
	b.env.RegisterActivityWithOptions(b.Notify, activity.RegisterOptions{Name: schemas.ActivityNotify})
	in := schemas.NotifyInput{To: chat, ID: "1", Refused: true, Message: schemas.Message{Type: "run.done", Data: schemas.Event{
		Event: schemas.EventFailed, Export: "Spring", Connection: "sandbox", RunID: "01a2b3c4-0000-7000-8000-000000000001",
		Segment: "Transfer", Message: "Transfer the money", Commands: []string{"transfer"}, Segments: []schemas.EventSegment{{Error: "Transfer"}},
	}}}
	refusesAltered(t, b, schemas.ActivityNotify, in, map[string]func(*schemas.NotifyInput){
		"a run of another ID": func(in *schemas.NotifyInput) { in.Message.Data.RunID = "transfer" },
		"another export":      func(in *schemas.NotifyInput) { in.Message.Data.Export = "Autumn" },
		"another connection":  func(in *schemas.NotifyInput) { in.Message.Data.Connection = "owners" },
		"another chat":        func(in *schemas.NotifyInput) { in.To.URL.URL = hook.URL + "/other" },
		"a good end":          func(in *schemas.NotifyInput) { in.Message.Data.Event = schemas.EventDone },
	})
	if _, err = b.env.ExecuteActivity(schemas.ActivityNotify, in); err != nil {
		t.Fatal(err)
	}
	if text := string(body); !strings.Contains(text, "run.failed") || !strings.Contains(text, "was refused") || strings.Contains(strings.ToLower(text), "transfer") {
		t.Errorf("it says %s", text)
	}
}

// TestAKindNamesNoOtherFile: the kind of an upload becomes part of the names of files,
// and whoever starts the activity chooses it.
func TestAKindNamesNoOtherFile(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	for _, kind := range []string{"", "Subscribe", "../../../connections/sandbox/senders/x", "subscribe/../.."} {
		_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
			Attempt: ledgertest.Attempt, Run: schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}, Connection: schemas.ConnectionInfo{Name: "sandbox"},
			ListID: 1, Kind: kind, End: 1,
		})
		isOfType(t, err, schemas.ErrorGrant)
	}
	all, err := b.Root.List(t.Context(), "")
	if err != nil || len(all) > 0 {
		t.Errorf("it left %v, %v", all, err)
	}
}

// TestAnUploadGoesWhereItsRunBegan: a list's id is another list's elsewhere.
func TestAnUploadGoesWhereItsRunBegan(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	in := schemas.UploadInput{
		Attempt: ledgertest.Attempt, Run: schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", Host: "api.eu.iterable.com"}, ListID: 1, Kind: schemas.Unsubscribe, End: 1,
	}
	_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
	isOfType(t, err, schemas.ErrorNoConnection)
	c, err := b.known("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{access.Host(c), ""} {
		in.Connection.Host = host
		_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
		isOfType(t, err, schemas.ErrorStaging) // nothing was staged, but it may
	}
}

// TestConditionsAreHeldAgainstTheRunsRecord decodes a segment again, as Temporal does for each
// step.
func TestConditionsAreHeldAgainstTheRunsRecord(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	yes, no := true, false
	s := func(optIn *bool) schemas.Segment {
		return schemas.Segment{Name: "High-value", Where: &schemas.Condition{Column: "EmailOptIn", Is: optIn}}
	}
	e := schemas.Export{Name: "Spring", Connection: "sandbox", Segments: []schemas.Segment{s(&yes)}}
	run := b.guarded(t, schemas.RunInput{Export: e})
	if _, err := b.mayWork(t.Context(), run, e, s(&yes), schemas.ConnectionInfo{Name: "sandbox"}, reads); err != nil {
		t.Errorf("the same condition: %v", err)
	}
	_, err := b.mayWork(t.Context(), run, e, s(&no), schemas.ConnectionInfo{Name: "sandbox"}, reads)
	isOfType(t, err, schemas.ErrorGrant)
}
