package activities

import (
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
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

// TestConsentIsForOneHost: that data may go to one place says nothing of another.
func TestConsentIsForOneHost(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	c := schemas.Connection{Name: "sandbox", Region: schemas.RegionEU}
	b.Activities.Connections = oneConnection{c}
	ann := schemas.Person{Name: "ann", Role: schemas.RoleAdministrator}
	isOfType(t, b.agreed(t.Context(), c), schemas.ErrorNoConsent)

	_, err := b.recordConsent(t.Context(), ann, schemas.ConsentRequest{Connection: "sandbox", Statement: "another one's"})
	isOfType(t, err, schemas.ErrorNoConsent)
	r, err := b.recordConsent(t.Context(), ann, schemas.ConsentRequest{Connection: "sandbox", Statement: schemas.ConsentStatementSHA256()})
	if err != nil || r.Host != "api.eu.iterable.com" || b.agreed(t.Context(), c) != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	moved := c
	moved.Region = schemas.RegionUS
	isOfType(t, b.agreed(t.Context(), moved), schemas.ErrorNoConsent)

	if _, err = b.disconnect(t.Context(), ann, schemas.ConnectionRequest{Connection: "sandbox"}); err != nil {
		t.Fatal(err)
	}
	isOfType(t, b.agreed(t.Context(), c), schemas.ErrorNoConnection)
	c.Consent = &schemas.Consent{AcceptedBy: "bob", AcceptedAt: r.At.Add(-time.Hour), Statement: "v1"}
	isOfType(t, b.agreed(t.Context(), c), schemas.ErrorNoConnection)
	c.Consent.AcceptedAt = time.Now().Add(time.Hour)
	if err := b.agreed(t.Context(), c); err != nil {
		t.Errorf("agreed to in the file after it was disconnected: %v", err)
	}
	kept, err := b.Root.List(t.Context(), schemas.ConsentDir("sandbox"))
	if err != nil || len(kept) != 2 {
		t.Errorf("%d records are kept, %v", len(kept), err)
	}
}

// TestStepsWantTheirPass calls the steps that change something in Iterable with the
// pass of a run, altered in one way or another.
func TestStepsWantTheirPass(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	gate := accesstest.New(t).Gate()
	b.Activities.Access = gate
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	run := schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}
	part := access.Part{Export: schemas.Export{Name: "Spring", Connection: "sandbox"}, Segment: schemas.Segment{Name: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox"}}
	var err error
	if run.Pass, err = gate.Pass(run, part, false); err != nil {
		t.Fatal(err)
	}
	in := schemas.EnsureListInput{Run: run, Connection: "sandbox", Name: "High-value"}
	list, err := b.ensure(in)
	if err != nil || list.Seal == nil {
		t.Fatalf("%+v, %v", list, err)
	}
	for name, change := range map[string]func(*schemas.EnsureListInput){
		"no pass":     func(in *schemas.EnsureListInput) { in.Run.Pass = nil },
		"other run":   func(in *schemas.EnsureListInput) { in.Run.RunID = "r2" },
		"other list":  func(in *schemas.EnsureListInput) { in.Name = "Everybody" },
		"other place": func(in *schemas.EnsureListInput) { in.Connection = "production" },
	} {
		bad := in
		change(&bad)
		_, err := b.ensure(bad)
		if isOfType(t, err, schemas.ErrorGrant); t.Failed() {
			t.Fatal(name)
		}
	}
	check := run
	if check.Pass, err = gate.Pass(run, part, true); err != nil {
		t.Fatal(err)
	}
	_, err = b.ensure(schemas.EnsureListInput{Run: check, Connection: "sandbox", Name: "High-value"})
	isOfType(t, err, schemas.ErrorGrant)
	if _, err := b.ensure(schemas.EnsureListInput{Run: check, Connection: "sandbox", Name: "High-value", Check: true}); err != nil {
		t.Errorf("a check looks for the list: %v", err)
	}
	_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
		Attempt: testAttempt, Run: run, Connection: part.Connection, ListID: list.ID + 1, ListSeal: list.Seal, Kind: schemas.Subscribe, End: 1,
	})
	isOfType(t, err, schemas.ErrorGrant)
	_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
		Attempt: testAttempt, Run: run, Connection: part.Connection, ListID: list.ID, ListSeal: list.Seal, Kind: schemas.Subscribe, End: 1,
	})
	isOfType(t, err, schemas.ErrorStaging) // nothing was staged, but it may
}

// TestAKindNamesNoOtherFile: the kind of an upload becomes part of the names of files,
// and whoever starts the activity chooses it.
func TestAKindNamesNoOtherFile(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{}))
	b.env.RegisterActivityWithOptions(b.UploadBatches, activity.RegisterOptions{Name: schemas.ActivityUploadBatches})
	for _, kind := range []string{"", "Subscribe", "../../../connections/sandbox/senders/x", "subscribe/../.."} {
		_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, schemas.UploadInput{
			Attempt: testAttempt, Run: schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"}, Connection: schemas.ConnectionInfo{Name: "sandbox"},
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
		Attempt: testAttempt, Run: schemas.RunRef{Export: "Spring", RunID: "r1", Segment: "High-value"},
		Connection: schemas.ConnectionInfo{Name: "sandbox", Host: "api.eu.iterable.com"}, ListID: 1, Kind: schemas.Unsubscribe, End: 1,
	}
	_, err := b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
	isOfType(t, err, schemas.ErrorNoConnection)
	c, err := b.known("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{apiHost(c), ""} {
		in.Connection.Host = host
		_, err = b.env.ExecuteActivity(schemas.ActivityUploadBatches, in)
		isOfType(t, err, schemas.ErrorStaging) // nothing was staged, but it may
	}
}

// TestRunIDsLeadNowhere: a run's id names its files, and with a good grant anybody
// can make up one.
func TestRunIDsLeadNowhere(t *testing.T) {
	b := newBench(t, sandbox.New(sandbox.Config{Fast: true}))
	b.Activities.Access = accesstest.New(t).Gate()
	in := schemas.AuthorizeInput{Export: schemas.Export{Name: "Spring", Segments: []schemas.Segment{{Name: "High-value"}}}}
	for _, id := range []string{"", ".", "..", "../../snapshots/autumn", `..\autumn`} {
		in.RunID = id
		_, err := b.passes(in, schemas.ConnectionInfo{})
		isOfType(t, err, schemas.ErrorGrant)
	}
	in.RunID = "0199b3c2-5a1e-7d3f-8f00-1c2d3e4f5a6b"
	if passes, err := b.passes(in, schemas.ConnectionInfo{}); err != nil || len(passes) != 1 {
		t.Errorf("%v, %v", passes, err)
	}
	isOfType(t, b.mayReport(schemas.RunReportInput{Export: in.Export, Result: schemas.RunResult{RunID: "../../snapshots/autumn"}}), schemas.ErrorGrant)
}
