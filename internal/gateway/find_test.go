package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"testing"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/config"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// projects is a ConnectionSource of connections by name.
type projects map[string]schemas.Connection

func (p projects) Get(name string) (schemas.Connection, error) { return p[name], nil }
func (p projects) Names() []string                             { return nil }
func (p projects) Status() config.Status                       { return config.Status{} }

// putSnapshot writes a snapshot of an export with these members.
func putSnapshot(t *testing.T, root *storage.Root, connection, project, export string, version int64, members ...snapshot.Member) {
	t.Helper()
	u := snapshot.NewUpdate(t.TempDir(), 0)
	defer u.Close()
	for _, m := range members {
		m.Key = batch.KeyHash(m.Email, m.UserID, project)
		if m.Fields == 0 {
			m.Fields = snapshot.Reserved
		}
		if err := u.Put(&m); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	h := snapshot.Header{Connection: connection, Export: export, Segment: "S", ListID: version, RunID: "run-" + export, CreatedAt: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	if _, err := u.Publish(t.Context(), nil, h, &file); err != nil {
		t.Fatal(err)
	}
	if err := root.Write(t.Context(), path.Join(dataroot.SnapshotDir(connection, export, "S"), dataroot.SnapshotName(version)), file.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// putRecord writes the report and the record of a run.
func putRecord(t *testing.T, root *storage.Root, run schemas.RunRef, identity string, rows ...rejects.Row) {
	t.Helper()
	var file bytes.Buffer
	w := rejects.NewRowWriter(&file, identity)
	for _, r := range rows {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := dataroot.ReportDir(run)
	report := schemas.ExportReport{Connection: run.Connection, Export: run.Export, RunID: run.RunID, Segment: run.Segment, FinishedAt: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	if err := root.WriteJSON(t.Context(), path.Join(dir, dataroot.ReportFile), report); err != nil {
		t.Fatal(err)
	}
	if err := root.Write(t.Context(), path.Join(dir, dataroot.RowsFile), file.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// searching returns the service of an administrator over a data root.
func searching(t *testing.T, root *storage.Root) *Local {
	t.Helper()
	gate, err := access.New(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return (&Office{
		Log:  slog.New(slog.DiscardHandler),
		Gate: func(context.Context) (*access.Gate, error) { return gate, nil },
		Root: func(context.Context) (*storage.Root, error) { return root, nil },
		Known: func() (ConnectionSource, error) {
			return projects{"mail": {}, "users": {ProjectType: schemas.ProjectUserID}, "both": {ProjectType: schemas.ProjectHybrid}}, nil
		},
	}).As(schemas.Person{Name: "root", Role: schemas.RoleAdministrator})
}

// TestFindPerson looks for people over exports of projects of every type.
func TestFindPerson(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ann, id := []byte("ann@example.com"), []byte("u1")
	putSnapshot(t, root, "mail", schemas.ProjectEmail, "News", 1, snapshot.Member{Email: []byte("old@example.com")})
	putSnapshot(t, root, "mail", schemas.ProjectEmail, "News", 2, snapshot.Member{Email: ann, UserID: []byte("u2 ")}, snapshot.Member{Email: []byte("bob@example.com")})
	putSnapshot(t, root, "mail", schemas.ProjectEmail, "Offers", 3, snapshot.Member{Email: ann, Fields: snapshot.Unconfirmed})
	putSnapshot(t, root, "users", schemas.ProjectUserID, "App", 4, snapshot.Member{UserID: id, Email: []byte("eve@example.com")})
	putSnapshot(t, root, "both", schemas.ProjectHybrid, "Shop", 5, snapshot.Member{Email: ann, UserID: id})
	run := schemas.RunRef{Connection: "mail", Export: "News", RunID: "monday", Segment: "S"}
	putRecord(t, root, run, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: schemas.OutcomeSuppressed, File: "a", Row: 3}, rejects.Row{Email: []byte("bob@example.com"), Outcome: schemas.OutcomeAdded})
	run.RunID = "tuesday"
	putRecord(t, root, run, schemas.IdentityHash, rejects.Row{Email: ann, Outcome: schemas.OutcomeAdded, Request: "add 0", At: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)})
	day := func(n int) time.Time { return time.Date(2026, 3, n, 0, 0, 0, 0, time.UTC) }
	// Ann came back onto the list of Offers by a run without a record, and App rejects her.
	offers := schemas.RunRef{Connection: "mail", Export: "Offers", RunID: "first", Segment: "S"}
	putRecord(t, root, offers, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: schemas.OutcomeAdded, Request: "add 0", At: day(1)})
	offers.RunID = "second"
	putRecord(t, root, offers, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: schemas.OutcomeRemoved, Reason: schemas.ReasonLeft, Request: "remove 0", At: day(2)})
	offers.RunID = "fourth"
	putRecord(t, root, offers, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: schemas.OutcomeUpdated, Request: "add 0", At: day(4)})
	app := schemas.RunRef{Connection: "users", Export: "App", RunID: "early", Segment: "S"}
	putRecord(t, root, app, schemas.IdentityPlain, rejects.Row{Email: ann, UserID: []byte("u7"), Outcome: schemas.OutcomeRemoved, Reason: schemas.ReasonLeft, Request: "remove 0", At: day(1)})
	app.RunID = "late"
	putRecord(t, root, app, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: schemas.OutcomeDuplicate, File: "a", Row: 1},
		rejects.Row{Email: ann, Outcome: schemas.OutcomeRejected, Reason: schemas.ReasonMissing, Column: "CustomerId", File: "a"})
	if err := root.Write(t.Context(), path.Join(dataroot.SnapshotDir("mail", "Damaged", "S"), dataroot.SnapshotName(1)), []byte("not a snapshot, but as long as one might be, so that its end is read too")); err != nil {
		t.Fatal(err)
	}
	if err := root.Write(t.Context(), path.Join(dataroot.SnapshotDir("mail", "News", "S"), dataroot.PendingPrefix+"run-1.json"), nil); err != nil {
		t.Fatal(err)
	}
	l := searching(t, root)
	for person, want := range map[string][]string{
		" Ann@Example.com ": {"News", "Offers", "Shop"}, "u1": {"App", "Shop"}, "bob@example.com": {"News"}, "old@example.com": nil, "U1": nil,
		"eve@example.com": {"App"}, "u2 ": {"News"}, "u2": nil,
	} {
		found, err := l.FindPerson(t.Context(), people.FindRequest{Person: person})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found.Lists {
			got = append(got, f.Export)
			if f.Unconfirmed != (f.Export == "Offers") || f.RunID != "run-"+f.Export || f.At.IsZero() {
				t.Errorf("%s: %+v", person, f)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%q is on %v, want %v", person, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%q is on %v, want %v", person, got, want)
			}
		}
		if found.Snapshots != 4 || len(found.Unreadable) != 1 || found.Unfinished != 1 || found.Reads == 0 || found.Bytes == 0 || found.Records != 0 {
			t.Errorf("%q: %+v", person, found)
		}
	}
	found, err := l.FindPerson(t.Context(), people.FindRequest{Person: "ann@example.com", History: true})
	if err != nil || len(found.Rows) != 8 || found.Records != 7 || found.Rows[0].Outcome != schemas.OutcomeUpdated || found.Rows[1].RunID != "tuesday" ||
		found.Rows[1].Outcome != schemas.OutcomeAdded {
		t.Errorf("history: %+v, %v", found, err)
	}
	if news := found.Lists[0]; news.Since == nil || *news.Since != (people.FoundRun{RunID: "tuesday", At: day(3)}) || news.LastSent != day(3) || news.RecordsFrom != day(2) {
		t.Errorf("News: %+v", news)
	}
	if offers := found.Lists[1]; offers.Since != nil || offers.LastSent != day(4) || offers.RecordsFrom != day(2) {
		t.Errorf("Offers: %+v, since a run without a record", offers)
	}
	if shop := found.Lists[2]; shop.Since != nil || !shop.LastSent.IsZero() || !shop.RecordsFrom.IsZero() {
		t.Errorf("Shop: %+v, which has no record", shop)
	}
	want := people.FoundRow{Connection: "users", Export: "App", Segment: "S", RunID: "late", At: day(2), Outcome: schemas.OutcomeRejected, Reason: schemas.ReasonMissing, Column: "CustomerId"}
	if len(found.NotOn) != 1 || found.NotOn[0] != want || found.Unexplained != 0 {
		t.Errorf("not on %+v, and %d others, want %+v", found.NotOn, found.Unexplained, want)
	}
	if u1, err := l.FindPerson(t.Context(), people.FindRequest{Person: "u1", History: true}); err != nil || len(u1.Lists) != 2 || len(u1.NotOn) != 0 || u1.Unexplained != 2 {
		t.Errorf("u1: %+v, %v", u1, err)
	}
	trail, err := l.Audit(t.Context(), time.Time{})
	if err != nil || len(trail) != 10 || trail[0] != (schemas.AuditEntry{At: trail[0].At, Who: "root", What: schemas.AuditSearched, Details: "for a person"}) {
		t.Errorf("the audit trail has %+v, %v", trail, err)
	}
	root.Around = func(_ context.Context, key string, _, _ func() error) error {
		return fmt.Errorf("write %s: %w", key, fs.ErrPermission)
	}
	if _, err := l.FindPerson(t.Context(), people.FindRequest{Person: "u1"}); err != nil {
		t.Errorf("who may only read the data root can't search it: %v", err)
	}
	if err := l.audit(t.Context(), schemas.AuditPaused, schemas.AuditEntry{Export: "News"}); err == nil {
		t.Error("a change that can't be recorded is reported as done")
	}
	root.Around = nil
	if _, err := l.FindPerson(t.Context(), people.FindRequest{Person: " "}); err == nil {
		t.Error("an empty person is accepted")
	}
}

// TestFindPersonSaysOnlyWhatIsKnown: a list that could not be searched is not one without the
// person, and that they were once on a list is no reason why they are not.
func TestFindPersonSaysOnlyWhatIsKnown(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ann, bob := []byte("ann@example.com"), []byte("bob@example.com")
	for _, export := range []string{"Added", "Updated", "Unchanged", "Removed", "Damaged", "Damaged too", "Cut"} {
		putSnapshot(t, root, "users", schemas.ProjectUserID, export, 1, snapshot.Member{UserID: []byte("u2"), Email: bob})
	}
	for export, outcome := range map[string]schemas.Outcome{
		"Added": schemas.OutcomeAdded, "Updated": schemas.OutcomeUpdated, "Unchanged": schemas.OutcomeUnchanged, "Removed": schemas.OutcomeRemoved,
		"Damaged": schemas.OutcomeRemoved, "Cut": schemas.OutcomeRemoved, "Aborted": schemas.OutcomeRejected,
	} {
		run := schemas.RunRef{Connection: "users", Export: export, RunID: "run", Segment: "S"}
		putRecord(t, root, run, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: outcome, Request: "1"})
	}
	for _, export := range []string{"Damaged", "Damaged too", "Cut"} {
		key := path.Join(dataroot.SnapshotDir("users", export, "S"), dataroot.SnapshotName(1))
		data, err := root.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if export == "Cut" {
			data = data[:len(data)/2] // its header can't be read either
		} else {
			data[bytes.Index(data, bob)] ^= 1
		}
		if err := root.Write(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	found, err := searching(t, root).FindPerson(t.Context(), people.FindRequest{Person: "ann@example.com", History: true})
	if err != nil {
		t.Fatal(err)
	}
	var not []string
	for _, r := range found.NotOn {
		not = append(not, r.Export)
	}
	if !slices.Equal(not, []string{"Aborted", "Removed"}) || found.Unexplained != 3 || len(found.Unreadable) != 3 || len(found.Lists) != 0 {
		t.Errorf("not on %q and %d others, could not search %q", not, found.Unexplained, found.Unreadable)
	}
}
