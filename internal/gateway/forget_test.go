package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/people"
	"iterable-segment-export/internal/rejects"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// putRejects writes the rejects of a run.
func putRejects(t *testing.T, root *storage.Root, run schemas.RunRef, rows ...rejects.Reject) {
	t.Helper()
	var file bytes.Buffer
	w := rejects.NewWriter(&file)
	for _, r := range rows {
		if err := w.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := root.Write(t.Context(), path.Join(dataroot.ReportDir(run), dataroot.RejectsFile), file.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// annIsEverywhere writes files of every kind with Ann and others in them. It returns one row of
// others for each file.
func annIsEverywhere(t *testing.T, root *storage.Root) {
	t.Helper()
	ann, bob := []byte("ann@example.com"), []byte("bob@example.com")
	putSnapshot(t, root, "mail", schemas.ProjectEmail, "News", 1, snapshot.Member{Email: ann}) // an interrupted deletion has left it
	putSnapshot(t, root, "mail", schemas.ProjectEmail, "News", 2, snapshot.Member{Email: ann, UserID: []byte("u1")}, snapshot.Member{Email: bob})
	putSnapshot(t, root, "users", schemas.ProjectUserID, "App", 4, snapshot.Member{UserID: []byte("u1"), Email: ann}, snapshot.Member{UserID: []byte("u2")})
	putSnapshot(t, root, "both", schemas.ProjectHybrid, "Shop", 5, snapshot.Member{Email: bob})
	run := schemas.RunRef{Connection: "mail", Export: "News", RunID: "monday", Segment: "S"}
	putRecord(t, root, run, schemas.IdentityPlain,
		rejects.Row{Email: ann, Outcome: schemas.OutcomeRejected, Reason: schemas.ReasonInvalidValue, File: "a", Row: 3},
		rejects.Row{Email: ann, UserID: []byte("u1"), Outcome: schemas.OutcomeRemoved, Reason: schemas.ReasonLeft, Request: "remove 0"},
		rejects.Row{Email: []byte("Ann@Example.com "), Outcome: schemas.OutcomeRejected, Reason: schemas.ReasonNoTLD, File: "a", Row: 7},
		rejects.Row{Email: bob, Outcome: schemas.OutcomeAdded, Request: "add 0", At: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC), File: "a", Row: 4})
	putRejects(t, root, run,
		rejects.Reject{File: "a", Row: 3, Column: "Score", Value: []byte("much"), Reason: schemas.ReasonInvalidValue},
		rejects.Reject{File: "a", Row: 5, Column: "Mail", Value: []byte(" ANN@example.com"), Reason: schemas.ReasonDuplicate},
		rejects.Reject{File: "b", Row: 3, Column: "Score", Value: []byte("much"), Reason: schemas.ReasonInvalidValue})
	run.RunID = "tuesday"
	putRecord(t, root, run, schemas.IdentityHash, rejects.Row{Email: ann, Outcome: schemas.OutcomeAdded, Request: "add 0"}, rejects.Row{Email: bob, Outcome: schemas.OutcomeAdded, Request: "add 0"})
	run.RunID = "check"
	examples := schemas.Examples{Adds: []schemas.Example{{Email: "ann@example.com"}, {Email: "bob@example.com"}}, Rejects: []schemas.Example{{Value: "ANN@example.com", Column: "Mail"}}}
	if err := root.WriteJSON(t.Context(), path.Join(dataroot.ReportDir(run), dataroot.ExamplesFile), examples); err != nil {
		t.Fatal(err)
	}
	record := schemas.RunRecord{RunID: "check", Connection: schemas.ConnectionInfo{Name: "mail"}, Input: schemas.RunInput{Export: schemas.Export{Name: "News", Segments: []schemas.Segment{{Name: "R"}, {Name: "S"}}}}}
	if err := root.WriteJSON(t.Context(), dataroot.RunRecordKey(run), record); err != nil {
		t.Fatal(err)
	}
}

// forgotten lists what was removed, a file a line.
func forgotten(a people.ForgetAnswer) string {
	var lines []string
	for _, f := range a.Files {
		lines = append(lines, fmt.Sprintf("%s %s %s %s: %d, %d", f.Kind, f.Export, f.Segment, f.RunID, f.Rows, f.Others))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// annsFiles returns the files of the data root in which Ann's address is, decompressed or not.
func annsFiles(t *testing.T, root *storage.Root) (found []string) {
	t.Helper()
	l := searching(t, root)
	f, err := l.FindPerson(t.Context(), people.FindRequest{Person: "ann@example.com", History: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range f.Lists {
		found = append(found, "list "+list.Export)
	}
	for _, row := range f.Rows {
		found = append(found, "row "+row.RunID)
	}
	files, err := root.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range files {
		data, err := root.Read(t.Context(), o.Name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(data), []byte("ann@example")) {
			found = append(found, o.Name)
		}
	}
	return found
}

// TestForgetPerson removes a person from files of every kind, and nobody else.
func TestForgetPerson(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	annIsEverywhere(t, root)
	if len(annsFiles(t, root)) < 8 {
		t.Fatalf("Ann is in %q", annsFiles(t, root))
	}
	l := searching(t, root)
	got, err := l.ForgetPerson(t.Context(), people.ForgetRequest{Person: "Ann@Example.com"})
	if err != nil || !got.Complete() {
		t.Fatalf("%+v, %v", got, err)
	}
	want := `examples News S check: 2, 0
record News S monday: 3, 1
record News S tuesday: 1, 0
rejects News S monday: 2, 0
snapshot App S : 1, 1
snapshot News S : 1, 1`
	if forgotten(got) != want {
		t.Errorf("removed:\n%s\nwant:\n%s", forgotten(got), want)
	}
	if len(got.Lists) != 2 || got.Lists[0].ListID != 4 || got.Lists[1].ListID != 2 || got.Lists[1].RunID != "run-News" {
		t.Errorf("lists: %+v", got.Lists)
	}
	if left := annsFiles(t, root); len(left) > 0 {
		t.Errorf("Ann is still in %q", left)
	}
	bob, err := l.FindPerson(t.Context(), people.FindRequest{Person: "bob@example.com", History: true})
	if err != nil || len(bob.Lists) != 2 || len(bob.Rows) != 2 || len(bob.Unreadable) > 0 || bob.Unfinished != 0 || bob.Lists[0].RunID != "run-News" {
		t.Errorf("Bob: %+v, %v", bob, err)
	}
	again, err := l.ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com"})
	if err != nil || !again.Complete() || len(again.Files) > 0 || again.Searched != got.Searched {
		t.Errorf("again: %+v, %v", again, err)
	}
	trail, err := l.Audit(t.Context(), time.Time{})
	if err != nil || len(trail) != 7 || trail[1].What != schemas.AuditForgot || trail[2].Details != "a person: 10 rows of 6 files removed, 2 lists (4, 2); 0 unfinished runs and 0 unreadable files not searched" {
		t.Errorf("the audit trail has %+v, %v", trail, err)
	}
}

// TestForgettingIsInterrupted fails before and after each write: a second time does the rest, and
// a person is on the way neither lost from a list nor half forgotten for good.
func TestForgettingIsInterrupted(t *testing.T) {
	broken := errors.New("the power failed")
	for n := 0; ; n++ {
		root, err := storage.OpenRoot(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		annIsEverywhere(t, root)
		l, writes := searching(t, root), 0
		root.Around = func(_ context.Context, key string, check, do func() error) error {
			if strings.HasPrefix(key, dataroot.AuditDir) || strings.HasPrefix(key, dataroot.ForgettingDir) {
				return do()
			}
			defer func() { writes++ }()
			switch {
			case writes < n/2:
				return do()
			case writes == n/2 && n%2 == 1:
				return errors.Join(do(), broken)
			}
			return broken
		}
		first, err := l.ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com"})
		root.Around = nil
		if err != nil {
			t.Fatalf("write %d: %v", n, err)
		}
		if first.Complete() {
			if writes < 10 {
				t.Errorf("%d writes", writes)
			}
			root.Close()
			return
		}
		again, err := l.ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com"})
		if err != nil || !again.Complete() {
			t.Errorf("after write %d: %+v, %v", n, again, err)
		}
		if left := annsFiles(t, root); len(left) > 0 {
			t.Errorf("after write %d Ann is in %q", n, left)
		}
		bob, err := l.FindPerson(t.Context(), people.FindRequest{Person: "bob@example.com", History: true})
		if err != nil || len(bob.Lists) != 2 || len(bob.Rows) != 2 || bob.Unfinished != 0 {
			t.Errorf("after write %d Bob is %+v, %v", n, bob, err)
		}
		root.Close()
	}
}

// TestForgettingLeavesRunsAlone: what a run may still write is not touched, and reported.
func TestForgettingLeavesRunsAlone(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	annIsEverywhere(t, root)
	l := searching(t, root)
	news := schemas.RunRef{Connection: "mail", Export: "News", RunID: "monday", Segment: "S"}
	app := dataroot.SnapshotDir("users", "App", "S")
	for key, v := range map[string]any{
		path.Join(dataroot.StagingDir(news), "run.json"):                                map[string]string{"connection": "mail", "export": "News", "segment": "S", "runId": "monday"},
		path.Join(dataroot.StagedDir(news, "1"), dataroot.AddsFile):                     1,
		path.Join(app, dataroot.PendingPrefix+"wednesday-1.json"):                       map[string]string{"runId": "wednesday"},
		path.Join(dataroot.SnapshotDir("both", "Shop", "S"), "pending-forget-OLD.json"): struct{}{}, // a killed one
	} {
		if err := root.WriteJSON(t.Context(), key, v); err != nil {
			t.Fatal(err)
		}
	}
	tried := dataroot.TrialKey("mail", "News (trial)", "X")
	for key, who := range map[string]string{tried: "ANN@example.com", dataroot.TrialKey("mail", "News (trial)", "Y"): "bob@example.com"} {
		if err := root.WriteJSON(t.Context(), key, map[string][]string{"people": {who}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := root.Write(t.Context(), path.Join(dataroot.SnapshotDir("mail", "Damaged", "S"), dataroot.SnapshotName(1)), []byte("not a snapshot")); err != nil {
		t.Fatal(err)
	}
	got, err := l.ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com"})
	if err != nil || got.Complete() || len(got.Lists) > 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if want := "examples News S check: 1, 0\nrecord News S tuesday: 1, 0"; !strings.Contains(forgotten(got), "record News S tuesday: 1, 0") || strings.Contains(forgotten(got), "monday") {
		t.Errorf("removed:\n%s\nwant:\n%s", forgotten(got), want)
	}
	if len(got.Unfinished) != 3 || got.Unfinished[2].Folder != tried || got.Unfinished[0].Folder != app || got.Unfinished[0].RunID != "wednesday" || got.Unfinished[1].Export != "News" || got.Unfinished[1].RunID != "monday" ||
		len(got.Unreadable) != 1 || !strings.Contains(got.Unreadable[0], "damaged") {
		t.Errorf("unfinished: %+v, unreadable: %v", got.Unfinished, got.Unreadable)
	}
	if found, err := l.FindPerson(t.Context(), people.FindRequest{Person: "ann@example.com"}); err != nil || len(found.Lists) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
}
