package runs

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/gateway"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// TestATrialBeforeARun: a marketer tries an export with some people, who are told apart by what
// became of them, and nothing of it touches the real list or the run that follows.
func TestATrialBeforeARun(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	w.People("Spring", 1, 20, 1, "quetzaltried@example.com", "quetzaltried@nowhere", "quetzaltried.conflict@example.com")
	w.Sandbox.Mark("conflict", "quetzaltried.conflict@example.com")
	e := w.Of("Spring")
	e.Guardrails.MaxRejectedShare, e.RecordIdentity = world.Share(0.1), schemas.IdentityHash // a quarter of those who are tried are rejected
	w.Apply(schemas.Exports{Refresh: &schemas.Timing{Cron: schemas.OneOrMore{world.Seldom}}, Exports: []schemas.Export{e}})
	s := w.Starter()
	s.Dir = w.Dir

	only := "quetzaltried@example.com,quetzaltried@nowhere,quetzaltried.conflict@example.com,quetzaltried.absent@example.com," + world.Person(7)
	status, said, problems := s.Call("run", "Spring", "--only", only, "-o", "json")
	var tried struct {
		Run  struct{ Run struct{ RunID string } }
		Rows []struct{ Person, Outcome, Reason string }
	}
	if err := json.Unmarshal([]byte(said), &tried); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s\n%s", status, err, said, problems)
	}
	var became []string
	for _, r := range tried.Rows {
		became = append(became, strings.TrimSpace(r.Person+" "+r.Outcome+" "+r.Reason))
	}
	slices.Sort(became)
	want := []string{
		world.Person(7) + " added", "quetzaltried.absent@example.com absent", "quetzaltried.conflict@example.com refused iterable_conflict",
		"quetzaltried@example.com added", "quetzaltried@nowhere rejected no_tld",
	}
	if !slices.Equal(became, want) {
		t.Errorf("it says %q, want %q", became, want)
	}
	inTrial := []string{world.Person(7), "quetzaltried@example.com"}
	if got := w.Members("Spring (trial)"); !slices.Equal(got, inTrial) {
		t.Errorf("the trial's list has %v", got)
	}
	huntInTemporal(w, newHunt("quetzaltried"))
	left, err := w.Root.List(t.Context(), dataroot.TrialsDir)
	if err != nil || slices.ContainsFunc(left, func(o storage.Object) bool { return o.Name != dataroot.TrialSaltKey }) {
		t.Errorf("the data root still has %v, %v", left, err)
	}
	if kept, err := w.Root.List(t.Context(), dataroot.SnapshotDir("sandbox", "Spring", "Spring")); err != nil || len(kept) > 0 {
		t.Errorf("the snapshot of the export was touched: %v, %v", kept, err)
	}

	// The first run is a first run, and the trial's members stay where they are.
	first := w.Done(w.Run(e))
	if first.Manifest.Adds != 22 || !first.ListCreated {
		t.Errorf("the first run: %+v", first)
	}
	text := s.Want(0, "run", "Spring", "--limit", "2")
	hash := func(person string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(person))) } // of whom --only does not name
	s.Contains(text, hash(world.Person(1)), hash(world.Person(2)), "Iterable accepted the profile", `"Spring (trial)`)
	if got := w.Members("Spring (trial)"); !slices.Equal(got, append([]string{world.Person(1), world.Person(2)}, inTrial...)) {
		t.Errorf("after a second trial its list has %v", got)
	}
	again := w.Done(w.Run(e))
	if again.Manifest.Removals+again.Manifest.Updates != 0 || again.Manifest.Unchanged != 21 { // all but the conflict
		t.Errorf("the run after a trial: %+v", again.Manifest)
	}
	s.Contains(s.Want(2, "run", "Spring", "--limit", "2", "--list", "Spring"), "a trial needs another one")
	s.Contains(s.Want(0, "runs"), "Spring (trial)")
	trail, err := w.Service().Audit(t.Context(), time.Time{})
	if n := len(slices.DeleteFunc(trail, func(a schemas.AuditEntry) bool { return a.What != schemas.AuditTried })); err != nil || n != 2 {
		t.Errorf("the audit trail has %d trials, %v", n, err)
	}
	report, err := w.Root.Read(t.Context(), dataroot.RunReport("sandbox", "Spring (trial)", tried.Run.Run.RunID))
	if err != nil || !strings.Contains(string(report), "people named by who started it") || strings.Contains(string(report), "quetzal") {
		t.Errorf("the report of the trial does not say that it is one, or names people: %v", err)
	}

	// What is removed with the export is removed with its trials.
	if out, err := w.Service().Remove(t.Context(), "Spring", gateway.RemoveRequest{DeleteLists: true}); err != nil || len(out.Lists) != 2 || !out.Lists[1].Deleted {
		t.Errorf("removed: %+v, %v", out, err)
	}
	for _, dir := range dataroot.ExportDirs("sandbox", "Spring (trial)") {
		if kept, err := w.Root.List(t.Context(), path.Clean(dir)); err != nil || len(kept) > 0 {
			t.Errorf("after the removal there is %v, %v", kept, err)
		}
	}
}
