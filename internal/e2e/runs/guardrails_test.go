package runs

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sdk "go.temporal.io/api/sdk/v1"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestGuardrailsHoldARunBack makes each guardrail stop a run: aborted, it has sent
// nothing; approved, it goes on; and a setting lets it pass unasked.
func TestGuardrailsHoldARunBack(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	w.Others = w.Connection("small", w.URL, "{}") + "    maxProfiles: 10\n" +
		w.Connection("smaller", w.URL, "{}") + "    maxProfiles: 11\n"
	w.WriteConnections("{}")
	w.StartHost()
	for name, c := range map[string]struct {
		before, after func(w *world.World)
		export        func(e *schemas.Export) // for all runs
		says          []string
		list          []string              // after the approval, before it those of before
		allow         func(*schemas.Export) // lets it pass
	}{
		"removals": {
			before: func(w *world.World) { w.People(w.T.Name(), 1, 10, 1) }, after: func(w *world.World) { w.People(w.T.Name(), 5, 10, 1) },
			says: []string{"4 of the 10 members of the list would be removed, more than 30 %", "guardrails.maxRemovedShare"}, list: world.Persons(5, 10),
			allow: func(e *schemas.Export) { e.Guardrails.MaxRemovedShare = world.Share(0.4) },
		},
		"empty": {
			before: func(w *world.World) { w.People(w.T.Name(), 1, 2, 1) }, after: func(w *world.World) { w.People(w.T.Name(), 1, 0, 1) },
			export: func(e *schemas.Export) { e.Guardrails.MaxRemovedShare = world.Share(1) },
			says:   []string{"no profile that can be sent, of 0 rows read", "guardrails.allowEmpty"}, list: []string{},
			allow: func(e *schemas.Export) { e.Guardrails.AllowEmpty = true },
		},
		"empty at the first run": {
			after: func(w *world.World) { w.People(w.T.Name(), 1, 0, 1) },
			says:  []string{"no profile that can be sent, of 0 rows read"}, list: []string{},
			allow: func(e *schemas.Export) { e.Guardrails.AllowEmpty = true },
		},
		"rejects": {
			before: func(w *world.World) { w.People(w.T.Name(), 1, 10, 1) }, after: func(w *world.World) { w.People(w.T.Name(), 1, 11, 1, world.Invalid(3)...) },
			says: []string{"3 of 14 rows were rejected, more than 20 %", "guardrails.maxRejectedShare"}, list: world.Persons(1, 11),
			allow: func(e *schemas.Export) { e.Guardrails.MaxRejectedShare = world.Share(0.5) },
		},
		"rejects at the first run": {
			after: func(w *world.World) { w.People(w.T.Name(), 1, 4, 1, world.Invalid(2)...) },
			says:  []string{"2 of 6 rows were rejected, more than 20 %"}, list: world.Persons(1, 4),
			allow: func(e *schemas.Export) { e.Guardrails.MaxRejectedShare = world.Share(1.0 / 3) },
		},
		"too many profiles": {
			before: func(w *world.World) { w.People(w.T.Name(), 1, 10, 1) }, after: func(w *world.World) { w.People(w.T.Name(), 1, 11, 1) },
			export: func(e *schemas.Export) { e.Connection = "small" },
			says:   []string{"11 profiles, and the connection allows 10", "maxProfiles"}, list: world.Persons(1, 11),
			allow: func(e *schemas.Export) { e.Connection = "smaller" },
		},
		"grown": {
			before: func(w *world.World) { w.People(w.T.Name(), 1, 2, 1) }, after: func(w *world.World) { w.People(w.T.Name(), 1, 21, 1) },
			says: []string{"grown from 2 to 21 profiles, more than 10-fold", "guardrails.maxGrowth"}, list: world.Persons(1, 21),
			allow: func(e *schemas.Export) { e.Guardrails.MaxGrowth = 10.5 },
		},
		"shrunk": {
			before: func(w *world.World) { w.People(w.T.Name(), 1, 10, 1) }, after: func(w *world.World) { w.People(w.T.Name(), 1, 4, 1, "new@example.com") },
			export: func(e *schemas.Export) { e.Guardrails.MaxRemovedShare, e.Guardrails.MaxShrink = world.Share(1), 1.9 },
			says:   []string{"shrunk from 10 to 5 profiles, to less than one in 1.9", "guardrails.maxShrink"}, list: append([]string{"new@example.com"}, world.Persons(1, 4)...),
			allow: func(e *schemas.Export) { e.Guardrails.MaxShrink = 2 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := w.In(t)
			e := w.Of(t.Name())
			if c.export != nil {
				c.export(&e)
			}
			before := []string{}
			if c.before != nil {
				c.before(w)
				w.Done(w.Run(e))
				before = w.Members(t.Name())
			}
			c.after(w)
			v := w.Run(e)
			w.WaitsWith(v, schemas.ErrorGuardrail, c.says...)
			detailsSay(w, v.Segments[0].WorkflowID, append(c.says, "starter approve", "starter abort")...)
			if v = w.Answer(v, schemas.UpdateAbort); v.State != schemas.StateAborted || v.Segments[0].Report.Upload.Requests != 0 {
				t.Errorf("the run is %s, after %d requests", v.State, v.Segments[0].Report.Upload.Requests)
			}
			if have := members(w, t.Name()); !slices.Equal(have, before) {
				t.Errorf("after the abort the list has %v, want %v", have, before)
			}
			if c.before == nil && exists(w, t.Name()) {
				t.Error("the run that was stopped has created a list")
			}
			w.Done(w.Answer(w.Run(e), schemas.UpdateApprove))
			if have := members(w, t.Name()); !slices.Equal(have, c.list) {
				t.Errorf("after the approval the list has %v, want %v", have, c.list)
			}
			// The same in another list, with the setting.
			second := w.T.Name() + " allowed"
			e.Name, e.Segments[0].Name = second, second
			c.allow(&e)
			if c.before != nil {
				c.before(w)
				w.Done(w.Run(e))
			}
			c.after(w)
			w.Done(w.Run(e))
			if have := members(w, second); !slices.Equal(have, c.list) {
				t.Errorf("where it is allowed the list has %v, want %v", have, c.list)
			}
		})
	}
}

// exists reports whether the sandbox has a list.
func exists(w *world.World, list string) bool {
	return slices.ContainsFunc(w.Sandbox.Stats(true).Lists, func(l sandbox.ListStats) bool { return l.Name == list })
}

// members returns the sorted members of a list, and none without a list.
func members(w *world.World, list string) []string {
	if !exists(w, list) {
		return nil
	}
	return w.Members(list)
}

// detailsSay fails the test unless the details that the Temporal UI shows of a workflow have
// these parts.
func detailsSay(w *world.World, workflowID string, parts ...string) {
	w.T.Helper()
	ctx, cancel := context.WithTimeout(w.T.Context(), world.Patience)
	defer cancel()
	answer, err := w.Client.QueryWorkflow(ctx, workflowID, "", "__temporal_workflow_metadata")
	if err != nil {
		w.T.Fatal(err)
	}
	var metadata sdk.WorkflowMetadata
	if err := answer.Get(&metadata); err != nil {
		w.T.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(metadata.CurrentDetails, part) {
			w.T.Errorf("the details lack %q:\n%s", part, metadata.CurrentDetails)
		}
	}
}

// TestAnApprovalIsForTheNumbersThatWereShown has a run start over after an
// approval, with another version of the segment: it asks again.
func TestAnApprovalIsForTheNumbersThatWereShown(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Of("Approved")
	source := w.People("Approved", 1, 10, 1)
	w.Done(w.Run(e))

	w.People("Approved", 5, 10, 1)
	v := w.Run(e)
	w.WaitsWith(v, schemas.ErrorGuardrail, "4 of the 10 members")
	w.Key(true)
	v = w.Answer(v, schemas.UpdateApprove)
	w.WaitsWith(v, schemas.ErrorKeyRejected)
	w.Key(false)
	w.DeleteList(w.List("Approved").ID)
	v = w.Answer(v, schemas.UpdateRetry)
	w.WaitsWith(v, schemas.ErrorListGone)
	w.People("Approved", 5, 10, 1, world.Invalid(5)...)
	v = w.Answer(v, schemas.UpdateRetry)
	w.WaitsWith(v, schemas.ErrorGuardrail, "5 of 11 rows were rejected")

	if err := os.Remove(filepath.Join(source, "rows.arrow")); err != nil { // what was staged is what counts
		t.Fatal(err)
	}
	w.Done(w.Answer(v, schemas.UpdateApprove))
	if have := w.Members("Approved"); !slices.Equal(have, world.Persons(5, 10)) {
		t.Errorf("the list has %v", have)
	}
}

// TestAnApprovalIsForOneSegment has two segments of a run wait, each for numbers of its own: an
// answer names one of them, and the other goes on waiting.
func TestAnApprovalIsForOneSegment(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Of("Intended")
	e.Name, e.Segments = "Both", append(e.Segments, w.Of("Truncated").Segments...)
	w.People("Intended", 1, 10, 1)
	w.People("Truncated", 101, 110, 1)
	w.Done(w.Run(e))
	w.People("Intended", 5, 10, 1)
	w.People("Truncated", 110, 110, 1)
	run := w.Start(e)
	var v operate.View
	looks := func(what string, ok func() bool) {
		t.Helper()
		w.Until(what, func() (done bool) {
			var err error
			v, err = w.Operator.Look(t.Context(), run)
			return err == nil && ok()
		})
	}
	looks("both segments wait", func() bool { return len(v.Waits()) == 2 })
	waits := map[string]operate.Wait{}
	for _, wait := range v.Waits() {
		waits[wait.Segment] = wait
	}
	refused := func(wait string, parts ...string) {
		t.Helper()
		_, err := w.Operator.Answer(t.Context(), v, schemas.UpdateApprove, wait)
		if !access.IsRefused(err, schemas.ErrorConflict) {
			t.Fatalf("%v, want a refusal", err)
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the refusal lacks %q:\n%v", part, err)
			}
		}
	}
	intended, truncated := waits["Intended"], waits["Truncated"]
	refused("", "an answer needs --wait", "4 of the 10 members", intended.Command("starter", "Both", schemas.UpdateApprove),
		"9 of the 10 members", truncated.Command("starter", "Both", schemas.UpdateApprove))

	if name, err := w.Operator.Answer(t.Context(), v, schemas.UpdateApprove, intended.ID); err != nil || name != "Intended" {
		t.Fatalf("%q, %v", name, err)
	}
	looks("the segment that was approved is done", func() bool {
		return slices.ContainsFunc(v.Segments, func(s operate.SegmentView) bool { return s.Run.Segment == "Intended" && s.State == schemas.StateDone })
	})
	if have := w.Members("Intended"); !slices.Equal(have, world.Persons(5, 10)) {
		t.Errorf("after its approval the list has %v", have)
	}
	if left := v.Waits(); len(left) != 1 || left[0].ID != truncated.ID {
		t.Errorf("left are the waits %+v", left)
	}
	refused(intended.ID, "now waits for something else", "9 of the 10 members")
	v = w.Answer(v, schemas.UpdateAbort)
	if have := w.Members("Truncated"); !v.Ended() || !slices.Equal(have, world.Persons(101, 110)) {
		t.Errorf("the run is %s, and the other list has %v", v.State, have)
	}
}

// TestAppendingComparesTheSegmentWithItself: not with the list, which only grows.
func TestAppendingComparesTheSegmentWithItself(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Of("Appended")
	e.Mode = schemas.ModeAppend
	for first := 1; first <= 41; first += 10 {
		w.People("Appended", first, first+9, 1)
		w.Done(w.Run(e))
	}
	w.People("Appended", 41, 44, 1)
	v := w.Run(e)
	w.WaitsWith(v, schemas.ErrorGuardrail, "shrunk from 10 to 4 profiles")
	w.Done(w.Answer(v, schemas.UpdateApprove))
	w.Done(w.Run(e)) // it is that large now, though nothing was sent
	if n := len(w.Members("Appended")); n != 50 {
		t.Errorf("on the list are %d, want 50", n)
	}
}
