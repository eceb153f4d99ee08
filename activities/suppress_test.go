package activities

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"iterable-segment-export/schemas"
)

// TestSuppressed stages a segment for connections with suppression lists of every kind.
func TestSuppressed(t *testing.T) {
	members := []identity{{"ann@example.com", ""}, {"bob@example.com", ""}, {"gone@example.com", ""}, {"left@example.com", ""}}
	rows := []identity{{"ANN@example.com", ""}, {"bob@example.com", ""}, {"new@b\u00fccher.example.com", ""}, {"eve@example.com", ""}, {"eve@example.com", ""}}
	never := []identity{{" Ann@Example.com", ""}, {"gone@example.com", ""}, {"new@b\u00fccher.example.com", ""}, {"not an address", ""}, {"", ""}}
	sums := func(rows []identity) (out []identity) {
		for _, r := range rows {
			if r.email != "" {
				r.email = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(r.email)))))
			}
			out = append(out, r)
		}
		return out
	}
	for mode, want := range map[string]schemas.Manifest{
		schemas.ModeMirror: {Read: 5, Suppressed: 2, Adds: 1, Unchanged: 1, Duplicates: 1, Removals: 3, SuppressedRemovals: 2, Members: 4},
		schemas.ModeAppend: {Read: 5, Suppressed: 2, Adds: 1, Unchanged: 1, Duplicates: 1, Removals: 2, SuppressedRemovals: 2, Members: 4},
	} {
		for name, list := range map[string]schemas.Suppression{"addresses": {Email: "Mail"}, "hashes": {EmailSHA256: "Mail"}} {
			t.Run(mode+" "+name, func(t *testing.T) {
				_, m, err := stageSuppressed(t, mode, schemas.ProjectEmail, members, rows, func(folder string) []schemas.Suppression {
					list.Name, list.Source = "Complaints", folder
					content := never
					if list.EmailSHA256 != "" {
						content = sums(never)
					}
					writeIdentities(t, filepath.Join(folder, "never.arrow"), content)
					return []schemas.Suppression{list}
				})
				if err != nil {
					t.Fatal(err)
				}
				staged(t, m, want)
				if m.Read != want.Read || m.Suppressed != want.Suppressed || m.SuppressedRemovals != want.SuppressedRemovals || m.Unchanged != want.Unchanged {
					t.Errorf("%+v, want %+v", m, want)
				}
			})
		}
	}
}

// TestSuppressedByEitherIdentifier: in a hybrid project a person is suppressed by the address
// or the user ID, also where the rest of the row is invalid.
func TestSuppressedByEitherIdentifier(t *testing.T) {
	members := []identity{{"ann@example.com", "u1"}, {"bob@example.com", "u2"}, {"", "u3"}, {"dan@example.com", ""}}
	rows := []identity{{"ann@example.com", "u1"}, {"bob@example.com", "u2"}, {"", "u3"}, {"", "U3"}, {"dan@example.com", " bad"}}
	_, m, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectHybrid, members, rows, func(folder string) []schemas.Suppression {
		for name, content := range map[string][]identity{"a": {{"ann@example.com", ""}, {"dan@example.com", ""}}, "b": {{"", "u3"}}} {
			writeIdentities(t, filepath.Join(folder, name+".arrow"), content)
		}
		return []schemas.Suppression{
			{Name: "A", Source: filepath.Join(folder, "a.arrow"), Email: "Mail"},
			{Name: "B", Source: filepath.Join(folder, "b.arrow"), UserID: "Id"},
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	staged(t, m, schemas.Manifest{Adds: 1, Removals: 3, Members: 4})
	if m.Suppressed != 3 || m.SuppressedRemovals != 3 || m.Unchanged != 1 {
		t.Errorf("%+v", m)
	}
}

// TestNothingIsStagedWithoutTheSuppressionList: a list that can't be read stops the run.
func TestNothingIsStagedWithoutTheSuppressionList(t *testing.T) {
	one := []identity{{"ann@example.com", "u1"}}
	write := func(t *testing.T, folder string, content []identity) {
		writeIdentities(t, filepath.Join(folder, "never.arrow"), content)
	}
	for name, c := range map[string]struct {
		list    schemas.Suppression
		content []identity // nil writes no file
		damage  bool
		says    string
	}{
		"missing":       {list: schemas.Suppression{Email: "Mail"}, says: "can't be read"},
		"damaged":       {list: schemas.Suppression{Email: "Mail"}, content: one, damage: true, says: "can't be read"},
		"no column":     {list: schemas.Suppression{Email: "Address"}, content: one, says: "there is no such column"},
		"no addresses":  {list: schemas.Suppression{Email: "Id"}, content: one, says: "none of the 1 values"},
		"only nulls":    {list: schemas.Suppression{UserID: "Id", Email: "Mail"}, content: []identity{{}, {}}, says: "none of its 2 rows has a value"},
		"no hashes":     {list: schemas.Suppression{EmailSHA256: "Mail"}, content: one, says: "not a SHA-256"},
		"only user IDs": {list: schemas.Suppression{UserID: "Id"}, content: one, says: "maps no userID column"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, one, func(folder string) []schemas.Suppression {
				if c.content != nil {
					write(t, folder, c.content)
				}
				if c.damage {
					if err := os.Truncate(filepath.Join(folder, "never.arrow"), 100); err != nil {
						t.Fatal(err)
					}
				}
				c.list.Name, c.list.Source = "Complaints", folder
				return []schemas.Suppression{c.list}
			})
			var app *temporal.ApplicationError
			if !errors.As(err, &app) || app.Type() != schemas.ErrorSuppression || !strings.Contains(app.Message(), c.says) || !strings.Contains(app.Message(), `"Complaints"`) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "ann@") {
				t.Errorf("the error has an address: %v", err)
			}
		})
	}
}

// TestSuppressionListsAreCounted: entries, those that are unreadable, and how many there were at
// the last run that was done.
func TestSuppressionListsAreCounted(t *testing.T) {
	var list string
	b, m, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, []identity{{"bob@example.com", ""}}, func(folder string) []schemas.Suppression {
		list = filepath.Join(folder, "never.arrow")
		writeIdentities(t, list, []identity{{"ann@example.com", ""}, {"Eve <eve@example.com>", ""}, {"", "u3"}})
		return []schemas.Suppression{{Name: "Complaints", Source: folder, Email: "Mail", UserID: "Id"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	counted := func(m schemas.Manifest, want schemas.SuppressionCount) {
		t.Helper()
		if len(m.SuppressionLists) == 1 {
			want.Fingerprint = m.SuppressionLists[0].Fingerprint
		}
		if len(m.SuppressionLists) != 1 || m.SuppressionLists[0] != want {
			t.Errorf("%+v, want %+v", m.SuppressionLists, want)
		}
	}
	counted(m, schemas.SuppressionCount{Name: "Complaints", Entries: 3, Unreadable: 1})
	if warnings := strings.Join(m.Warnings, "\n"); !strings.Contains(warnings, `"Complaints": 1 of 3 entries`) || strings.Contains(warnings, "example.com") {
		t.Errorf("warnings: %s", warnings)
	}
	if m, err = b.stageInput(b.input); err != nil {
		t.Fatal(err)
	}
	counted(m, schemas.SuppressionCount{Name: "Complaints", Entries: 3, Unreadable: 1}) // no run was done
	if err := b.Ledger().KeepSuppressionCounts(t.Context(), "sandbox", m.SuppressionLists); err != nil {
		t.Fatal(err)
	}
	writeIdentities(t, list, nil) // an empty list is valid, and much smaller
	if m, err = b.stageInput(b.input); err != nil {
		t.Fatal(err)
	}
	counted(m, schemas.SuppressionCount{Name: "Complaints", Before: 3})
}

// TestALostSuppressionListIsKnownToAllExports over the connection: a new name for the segment or for
// the export does not make its present size the right one, and neither does a trial, which does not
// ask. A run that was done with it does: somebody has approved it.
func TestALostSuppressionListIsKnownToAllExports(t *testing.T) {
	var list string
	ann := identity{"ann@example.com", ""}
	b, m, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, []identity{ann}, func(folder string) []schemas.Suppression {
		list = filepath.Join(folder, "never.arrow")
		writeIdentities(t, list, []identity{ann, {"bob@example.com", ""}, {"eve@example.com", ""}})
		return []schemas.Suppression{{Name: "Complaints", Source: folder, Email: "Mail"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.env.RegisterActivityWithOptions(b.CommitSnapshot, activity.RegisterOptions{Name: schemas.ActivityCommitSnapshot})
	stage := func(runID, export, segment string) schemas.CommitInput {
		t.Helper()
		in := b.input
		in.Run = schemas.RunRef{Export: export, RunID: runID, Segment: segment}
		in.Export.Name, in.Segment.Name = export, segment
		if m, err = b.stageInput(in); err != nil {
			t.Fatal(err)
		}
		return schemas.CommitInput{Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection,
			Report: schemas.ExportReport{ListID: 7, Manifest: m, State: schemas.StateDone}}
	}
	commit := func(in schemas.CommitInput) {
		t.Helper()
		if _, err := b.env.ExecuteActivity(schemas.ActivityCommitSnapshot, in); err != nil {
			t.Fatal(err)
		}
	}
	commit(stage("r3", "Spring", "High-value"))
	writeIdentities(t, list, []identity{ann})
	had := func(want int64, run schemas.CommitInput) {
		t.Helper()
		if l := run.Report.Manifest.SuppressionLists; len(l) != 1 || l[0].Entries != 1 || l[0].Before != want {
			t.Errorf("%s/%s: %+v, want %d before", run.Run.Export, run.Run.Segment, l, want)
		}
	}
	had(3, stage("r4", "Spring", "High-value"))
	had(3, stage("r5", "Spring", "Renamed"))
	had(3, stage("r6", "Copied", "High-value"))
	trial := stage("r7", "Spring (trial)", "High-value (trial)")
	trial.Segment.Trial = &schemas.Trial{Limit: 1}
	commit(trial)
	approved := stage("r8", "Copied", "Renamed")
	had(3, approved)
	commit(approved)
	had(1, stage("r9", "Spring", "High-value"))
}

// TestLeftoversOfSuppressionLists: files of an older export are doubtful.
func TestLeftoversOfSuppressionLists(t *testing.T) {
	_, m, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, []identity{{"bob@example.com", ""}}, func(folder string) []schemas.Suppression {
		for i := range 4 {
			file := filepath.Join(folder, fmt.Sprintf("part-%d.arrow", i))
			writeIdentities(t, file, []identity{{"ann@example.com", ""}})
			at := time.Now().Add(-time.Minute)
			if i > 1 {
				at = at.Add(-240 * time.Hour)
			}
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
		return []schemas.Suppression{{Name: "Complaints", Source: folder, Email: "Mail"}}
	})
	if warnings := strings.Join(m.Warnings, "\n"); err != nil || !strings.Contains(warnings, `suppression list "Complaints": 2 of 4 files are`) {
		t.Errorf("%v, warnings: %s", err, warnings)
	}
}
