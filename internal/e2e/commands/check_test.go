package commands

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestCheckTellsAndChangesNothing checks an export that nobody applied, one that was
// applied, and one that would not get through.
func TestCheckTellsAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{KeepData: true}, true)
	s := w.Starter()
	source := w.People("Checked", 1, 2500, 1, world.Invalid(3)...)
	file := filepath.Join(w.Dir, "exports.yaml")
	yaml := fmt.Sprintf(`exports:
  - name: Spring
    connection: sandbox
    email: email
    fields: [{column: n}]
    schedule: off
    segments: [{name: Checked, source: %q}]
`, source)
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}

	// Before it was applied, and before there is a list.
	flags := []string{"--segment", "Checked", "--source", source, "--email", "email", "--connection", "sandbox"}
	s.Contains(s.Want(0, append([]string{"check"}, flags...)...), `"Checked", to a new list`)
	out := s.Want(0, "check", "Spring", "--file", file)
	s.Contains(out, `"Checked", to a new list: what a run would do`, "rows read       │    2,503", "add             │    2,500",
		"reject: no_tld  │        3", "requests        │        3", "time to send", "no_tld: the domain has no top-level domain such as .com (rows.arrow, row 2500)")
	if strings.Contains(out, "p001@") || strings.Contains(out, "nobody@") {
		t.Errorf("an example is not masked:\n%s", out)
	}
	if s.Contains(s.Want(0, "check", "Spring", "--file", file, "--show-addresses"), "p001@example.com", "nobody@nowhere"); w.Changes() != [2]int64{} || w.Requests("lists/create") != 0 {
		t.Errorf("a check made requests: %v", w.Changes())
	}
	if lists := w.Sandbox.Stats(false).Lists; len(lists) != 0 {
		t.Errorf("a check made lists: %+v", lists)
	}

	s.Contains(s.Want(1, "check", "Spring"), "no such export was applied")
	s.Want(0, "apply", file, "--yes")
	s.Want(0, "run", "Spring")
	list, changes := w.Members("Checked"), w.Changes()

	// The next version, as a run of the applied export would take it.
	w.People("Checked", 101, 2600, 2)
	var answer struct {
		State    string
		Segments []finding
	}
	status, text, errOut := s.Call("check", "Spring", "-o", "json")
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s%s", status, err, text, errOut)
	}
	if len(answer.Segments) != 1 || answer.State != schemas.StateDone {
		t.Fatalf("%+v", answer)
	}
	f := answer.Segments[0]
	if m := f.Manifest; m.Adds != 100 || m.Updates != 2400 || m.Removals != 100 || m.Unchanged != 0 || f.Check.Requests < 2 || f.Check.Requests > 4 || f.Check.NoList || f.Check.Estimate <= 0 {
		t.Errorf("%+v %+v", m, f.Check)
	}
	if e := f.Examples; len(e.Adds) == 0 || len(e.Updates) == 0 || len(e.Removals) == 0 || strings.Contains(e.Adds[0].Email, world.Person(2501)) {
		t.Errorf("examples %+v", e)
	}

	// One that a guardrail would hold back.
	w.People("Checked", 1, 10, 1)
	s.Contains(s.Want(3, "check", "Spring"), "A run would wait for starter approve: 2,490 of the 2,500 members of the list would be removed, more than 30 %")
	if have := w.Members("Checked"); !slices.Equal(have, list) || w.Changes() != changes {
		t.Errorf("after the checks the list has %d members of %d, after %v requests of %v", len(have), len(list), w.Changes(), changes)
	}
	// What the checks staged does not bear on the run.
	w.People("Checked", 1, 2500, 1)
	s.Contains(s.Want(0, "run", "Spring"), "2,500")
	if have := w.Members("Checked"); !slices.Equal(have, list) || w.Changes() != changes {
		t.Errorf("after the run the list has %d members, after %v requests of %v", len(have), w.Changes(), changes)
	}
	s.Contains(s.Want(2, "check", "Spring", "--segment", "Other"), "--segment defines an export")
	s.Contains(s.Want(2, "check", "--file", file), "name the export")
	s.Contains(s.Want(1, "check", "Sprin", "--file", file), "has no export \"Sprin\"; did you mean \"Spring\"?")
}

// finding is what starter check -o json says of a segment.
type finding struct {
	schemas.ExportReport
	Examples schemas.Examples
}
