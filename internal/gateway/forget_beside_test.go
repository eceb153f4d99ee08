package gateway

import (
	"context"
	"errors"
	"path"
	"reflect"
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

// forgetRoot returns a data root with Ann everywhere. During the first change of a key that ends
// with what, it calls beside.
func forgetRoot(t *testing.T, what string, beside func(*storage.Root)) *storage.Root {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	annIsEverywhere(t, root)
	root.Around = func(_ context.Context, key string, check, do func() error) error {
		if beside != nil && strings.HasSuffix(key, what) {
			now := beside
			beside = nil
			now(root)
		}
		if err := check(); err != nil {
			return err
		}
		return do()
	}
	return root
}

// forgets removes a person, and expects that nothing was left out.
func forgets(t *testing.T, root *storage.Root, person string) people.ForgetAnswer {
	t.Helper()
	got, err := searching(t, root).ForgetPerson(t.Context(), people.ForgetRequest{Person: person})
	if err != nil || !got.Complete() {
		t.Errorf("%s: %+v, %v", person, got, err)
	}
	return got
}

// isNowhere expects that a person is not found.
func isNowhere(t *testing.T, root *storage.Root, person string) {
	t.Helper()
	root.Around = nil
	found, err := searching(t, root).FindPerson(t.Context(), people.FindRequest{Person: person, History: true})
	if err != nil || len(found.Lists)+len(found.Rows)+len(found.Unreadable) > 0 {
		t.Errorf("%s: %+v, %v", person, found, err)
	}
}

// TestTwoAreForgottenAtOnce: the second one waits, so that it does not write back what the first
// one has removed.
func TestTwoAreForgottenAtOnce(t *testing.T) {
	second, waits := make(chan struct{}), make(chan struct{})
	root := forgetRoot(t, dataroot.RowsFile, func(root *storage.Root) {
		claims, around := 0, root.Around
		root.Around = func(ctx context.Context, key string, check, do func() error) error {
			if strings.HasPrefix(key, dataroot.ForgettingDir) {
				if claims++; claims == 2 { // it was written, and is taken back
					close(waits)
				}
			}
			return around(ctx, key, check, do)
		}
		go func() {
			defer close(second)
			forgets(t, root, "bob@example.com")
		}()
		select {
		case <-waits:
		case <-second:
		}
	})
	forgets(t, root, "ann@example.com")
	<-second
	isNowhere(t, root, "ann@example.com")
	isNowhere(t, root, "bob@example.com")
}

// TestForgettingSearchesWhatIsNew: a run and a check that begin and end while a person is removed
// have written what they had read before.
func TestForgettingSearchesWhatIsNew(t *testing.T) {
	ann := []byte("ann@example.com")
	root := forgetRoot(t, dataroot.RejectsFile, func(root *storage.Root) {
		run := schemas.RunRef{Connection: "mail", Export: "Early", RunID: "new", Segment: "S"}
		putRecord(t, root, run, schemas.IdentityPlain, rejects.Row{Email: ann, Outcome: schemas.OutcomeRemoved})
		putRejects(t, root, run, rejects.Reject{File: "a", Column: "Mail", Value: ann, Reason: schemas.ReasonDuplicate})
		putSnapshot(t, root, "mail", schemas.ProjectEmail, "Early", 1, snapshot.Member{Email: ann})
		run.RunID = "check"
		if err := root.WriteJSON(t.Context(), path.Join(dataroot.ReportDir(run), dataroot.ExamplesFile), schemas.Examples{Removals: []schemas.Example{{Email: "ann@example.com"}}}); err != nil {
			t.Error(err)
		}
	})
	if got := forgets(t, root, "ann@example.com"); len(got.Files) != 10 || len(got.Lists) != 3 {
		t.Errorf("removed:\n%s\nfrom %+v", forgotten(got), got.Lists)
	}
	root.Around = nil
	if left := annsFiles(t, root); len(left) > 0 {
		t.Errorf("Ann is still in %q", left)
	}
}

// TestARunThatBeginsWhileAPersonIsForgotten is reported if it has not ended.
func TestARunThatBeginsWhileAPersonIsForgotten(t *testing.T) {
	run := schemas.RunRef{Connection: "mail", Export: "Early", RunID: "new", Segment: "S"}
	root := forgetRoot(t, dataroot.RejectsFile, func(root *storage.Root) {
		if err := root.WriteJSON(t.Context(), path.Join(dataroot.StagingDir(run), "run.json"), run); err != nil {
			t.Error(err)
		}
	})
	got, err := searching(t, root).ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com"})
	if err != nil || len(got.Unfinished) != 1 || got.Unfinished[0].Folder != dataroot.StagingDir(run) || len(got.Files) != 6 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestForgettingASnapshotThatChanges: a run publishes a new version at the same time, with the
// person.
func TestForgettingASnapshotThatChanges(t *testing.T) {
	published := false
	root := forgetRoot(t, dataroot.SnapshotName(3), func(root *storage.Root) {
		published = true
		putSnapshot(t, root, "mail", schemas.ProjectEmail, "News", 3, snapshot.Member{Email: []byte("ann@example.com")}, snapshot.Member{Email: []byte("eve@example.com")})
	})
	if got := forgets(t, root, "ann@example.com"); len(got.Lists) != 2 || !published {
		t.Errorf("%+v", got.Lists)
	}
	isNowhere(t, root, "ann@example.com")
}

// TestForgettingIsPartial: one file can't be rewritten. The rest is, and the answer and the audit
// trail have what was removed.
func TestForgettingIsPartial(t *testing.T) {
	root := forgetRoot(t, "", nil)
	broken := path.Join(dataroot.ReportDir(schemas.RunRef{Connection: "mail", Export: "News", RunID: "monday", Segment: "S"}), dataroot.RejectsFile)
	root.Around = func(_ context.Context, key string, _, do func() error) error {
		if key == broken {
			return errors.New("no room")
		}
		return do()
	}
	l := searching(t, root)
	got, err := l.ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com"})
	want := `examples News S check: 2, 0
record News S tuesday: 1, 0
snapshot App S : 1, 1
snapshot News S : 1, 1`
	if err != nil || got.Complete() || !reflect.DeepEqual(got.Unreadable, []string{broken}) || forgotten(got) != want || len(got.Lists) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	root.Around = nil
	again := forgets(t, root, "ann@example.com")
	if want := "record News S monday: 3, 1\nrejects News S monday: 2, 0"; forgotten(again) != want { // the record still had the places
		t.Errorf("again: %s", forgotten(again))
	}
}

// TestForgettingIsCancelled once the snapshots are written.
func TestForgettingIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	root := forgetRoot(t, dataroot.ExamplesFile, func(*storage.Root) { cancel() })
	l := searching(t, root)
	got, err := l.ForgetPerson(ctx, people.ForgetRequest{Person: "ann@example.com"})
	if err != nil || got.Complete() || got.Interrupted == "" || len(got.Lists) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	trail, err := l.Audit(t.Context(), time.Time{})
	if err != nil || len(trail) != 2 || !strings.Contains(trail[1].Details, "2 lists (4, 2)") || !strings.HasSuffix(trail[1].Details, "; interrupted") {
		t.Errorf("the audit trail has %+v, %v", trail, err)
	}
	forgets(t, root, "ann@example.com")
	isNowhere(t, root, "ann@example.com")
}

// TestThePreviewOfForgetting has what is removed then.
func TestThePreviewOfForgetting(t *testing.T) {
	root := forgetRoot(t, "", nil)
	root.Around = func(_ context.Context, key string, _, do func() error) error {
		if !strings.HasPrefix(key, dataroot.AuditDir) {
			t.Errorf("a preview changes %s", key)
		}
		return do()
	}
	preview, err := searching(t, root).ForgetPerson(t.Context(), people.ForgetRequest{Person: "ann@example.com", Preview: true})
	root.Around = nil
	if got := forgets(t, root, "ann@example.com"); err != nil || !reflect.DeepEqual(preview, got) || len(got.Files) != 6 {
		t.Errorf("announced %+v, %v; removed %+v", preview, err, got)
	}
}
