package workflows

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"

	"iterable-segment-export/schemas"
)

func TestGuardrails(t *testing.T) {
	none := 0.0
	all := 1.0
	bad := func(n int64) map[schemas.Reason]int64 { return map[schemas.Reason]int64{schemas.ReasonSyntax: n} }
	for name, c := range map[string]struct {
		g           schemas.Guardrails
		maxProfiles int64
		m           schemas.Manifest
		want        []string
	}{
		"first run":       {m: schemas.Manifest{Read: 10, Adds: 10}},
		"nothing changed": {m: schemas.Manifest{Read: 10, Unchanged: 10, Members: 10}},
		"30 % removed":    {m: schemas.Manifest{Read: 7, Unchanged: 7, Removals: 3, Members: 10}},
		"40 % removed":    {m: schemas.Manifest{Read: 6, Unchanged: 6, Removals: 4, Members: 10}, want: []string{"4 of the 10 members of the list would be removed, more than 30 %"}},
		"few suppressed of those that may be members":  {m: schemas.Manifest{Read: 9, Unchanged: 9, Removals: 3, SuppressedRemovals: 3, UnconfirmedRemovals: 3, Members: 9, UnconfirmedMembers: 10}},
		"many suppressed of those that may be members": {m: schemas.Manifest{Read: 9, Unchanged: 9, Removals: 8, SuppressedRemovals: 8, UnconfirmedRemovals: 8, Members: 9, UnconfirmedMembers: 10}, want: []string{"8 of the 9 members of the list and 10 that may be on it would be removed (8 of them are on a suppression list), more than 30 %"}},
		"many left beside those that may be members":   {m: schemas.Manifest{Read: 6, Unchanged: 6, Removals: 5, SuppressedRemovals: 1, UnconfirmedRemovals: 1, Members: 10, UnconfirmedMembers: 100}, want: []string{"5 of the 10 members"}},
		"a suppression list shrank":                    {m: schemas.Manifest{Read: 1, Adds: 1, SuppressionLists: []schemas.SuppressionCount{{Name: "A", Entries: 50, Before: 100}, {Name: "B", Entries: 49, Before: 100}}}, want: []string{`suppression list "B" has 49 entries, less than half of the 100`}},
		"an unreadable suppression list":               {m: schemas.Manifest{Read: 1, Adds: 1, SuppressionLists: []schemas.SuppressionCount{{Name: "A", Entries: 100, Unreadable: 5}, {Name: "B", Entries: 100, Unreadable: 6}}}, want: []string{`6 of 100 entries of suppression list "B"`}},
		"nobody may be removed":                        {g: schemas.Guardrails{MaxRemovedShare: &none}, m: schemas.Manifest{Read: 9, Unchanged: 9, Removals: 1, Members: 10}, want: []string{"maxRemovedShare"}},
		"all may be removed":                           {g: schemas.Guardrails{MaxRemovedShare: &all, MaxShrink: 100, AllowEmpty: true}, m: schemas.Manifest{Removals: 10, Members: 10}},
		"empty":                                        {m: schemas.Manifest{}, want: []string{"no profile that can be sent, of 0 rows"}},
		"all rejected":                                 {m: schemas.Manifest{Read: 5, Rejected: bad(5)}, want: []string{"allowEmpty", "5 of 5 rows were rejected, more than 20 %"}},
		"a fifth rejected":                             {m: schemas.Manifest{Read: 10, Adds: 8, Rejected: bad(2)}},
		"half of a column":                             {m: schemas.Manifest{Read: 10, Adds: 10, LeftOut: []schemas.LeftOut{{Column: "a", Reason: "is NaN", Count: 5}, {Column: "b", Reason: "x", Count: 5}}}},
		"more than half of it":                         {m: schemas.Manifest{Read: 10, Adds: 10, LeftOut: []schemas.LeftOut{{Column: "a", Reason: "is NaN", Count: 3}, {Column: "a", Reason: "x", Count: 3}}}, want: []string{"maxLeftOutShare"}},
		"more than a fifth":                            {m: schemas.Manifest{Read: 10, Adds: 7, Rejected: bad(3)}, want: []string{"maxRejectedShare"}},
		"as many as allowed":                           {maxProfiles: 10, m: schemas.Manifest{Read: 10, Adds: 10}},
		"more than allowed":                            {maxProfiles: 9, m: schemas.Manifest{Read: 10, Adds: 10}, want: []string{"10 profiles, and the connection allows 9 (maxProfiles)"}},
		"room for all who stay":                        {maxProfiles: 12, m: schemas.Manifest{Read: 9, Unchanged: 7, Adds: 2, Members: 10}},
		"no room in append mode": {maxProfiles: 11, m: schemas.Manifest{Read: 9, Unchanged: 7, Adds: 2, Members: 10},
			want: []string{"would have 12 profiles, 9 of the segment and 3 that stay on it, and the connection allows 11 (maxProfiles)"}},
		"the same people under other ids": {maxProfiles: 10, m: schemas.Manifest{Read: 10, Unchanged: 7, Adds: 3, Superseded: 3, Members: 10}},
		"grown ten times":                 {m: schemas.Manifest{Read: 100, Unchanged: 10, Adds: 90, Members: 10}},
		"grown more":                      {m: schemas.Manifest{Read: 101, Unchanged: 10, Adds: 91, Members: 10}, want: []string{"grown from 10 to 101 profiles, more than 10-fold"}},
		"shrunk in append mode":           {m: schemas.Manifest{Read: 4, Unchanged: 4, Members: 10}, want: []string{"shrunk from 10 to 4 profiles"}},
		"shrinking is a setting":          {g: schemas.Guardrails{MaxShrink: 3}, m: schemas.Manifest{Read: 4, Unchanged: 4, Members: 10}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Tripped(c.g, c.maxProfiles, c.m)
			require.Len(t, got, len(c.want), "%v", got)
			for i, want := range c.want {
				require.Contains(t, got[i], want)
			}
		})
	}
}

func TestAGuardrailWaitsForApproval(t *testing.T) {
	for answer, uploads := range map[string]int{schemas.UpdateApprove: 1, schemas.UpdateAbort: 0} {
		w := newWorld(t)
		w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(
			schemas.Manifest{Read: 10, Adds: 1, AddBatches: 1, Rejected: map[schemas.Reason]int64{schemas.ReasonSyntax: 9}}, nil)
		w.goesWell(1)
		w.RegisterDelayedCallback(func() {
			p := w.progress()
			require.Equal(t, schemas.StepGuardrails, p.Waiting.Step)
			require.Contains(t, p.Waiting.Message, "9 of 10 rows were rejected")
			w.answer(schemas.UpdateRetry) // is not what it waits for
			w.answer(answer)
		}, time.Minute)
		w.ExecuteWorkflow(ExportSegment, input)
		require.Equal(t, answer == schemas.UpdateApprove, w.GetWorkflowError() == nil)
		require.Len(t, w.uploads, uploads)
		require.Len(t, w.refused, 1)
		answers := w.progress().Report.Answers
		require.Len(t, answers, 1)
		require.Equal(t, []string{answer, "ann", schemas.StepGuardrails, schemas.ErrorGuardrail}, []string{answers[0].Answer, answers[0].Who, answers[0].Step, answers[0].Type})
		require.Contains(t, answers[0].Message, "9 of 10 rows were rejected")
		if answer == schemas.UpdateAbort {
			require.Regexp(t, "^aborted by ann at .*: 9 of 10 rows were rejected", w.progress().Report.Error)
		}
	}
}

// TestADoubtfulSuppressionListIsAWaitOfItsOwn, which has the other guardrails too. A retry stages the
// segment again, with the list repaired.
func TestADoubtfulSuppressionListIsAWaitOfItsOwn(t *testing.T) {
	w := newWorld(t)
	doubtful := schemas.Manifest{Read: 10, Adds: 1, AddBatches: 1, Rejected: map[schemas.Reason]int64{schemas.ReasonSyntax: 9},
		SuppressionLists: []schemas.SuppressionCount{{Name: "Complaints", Entries: 1, Before: 10}}}
	repaired := doubtful
	repaired.SuppressionLists = []schemas.SuppressionCount{{Name: "Complaints", Entries: 10, Before: 10}}
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(doubtful, nil).Once()
	w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(repaired, nil)
	w.goesWell(1)
	w.RegisterDelayedCallback(func() {
		p := w.progress().Waiting
		require.Equal(t, schemas.ErrorSuppressionDoubtful, p.Type)
		require.Equal(t, []string{schemas.UpdateApprove, schemas.UpdateRetry, schemas.UpdateAbort}, p.Answers)
		require.Contains(t, p.Message, "9 of 10 rows were rejected")
		require.Contains(t, p.Message, `suppression list "Complaints"`)
		w.answer(schemas.UpdateRetry)
	}, time.Minute)
	w.RegisterDelayedCallback(func() {
		p := w.progress().Waiting
		require.Equal(t, schemas.ErrorGuardrail, p.Type)
		require.NotContains(t, p.Message, "Complaints")
		w.answer(schemas.UpdateApprove)
	}, 2*time.Minute)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Len(t, w.uploads, 1)
}

// TestFieldsThatIterableLeavesOutAreAWarning of the run, which goes on.
func TestFieldsThatIterableLeavesOutAreAWarning(t *testing.T) {
	w := newWorld(t)
	w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(schemas.UploadCounts{Requests: 1, Sent: 1, IgnoredFields: []string{"plan", "tier"}}, nil)
	w.goesWell(1)
	w.ExecuteWorkflow(ExportSegment, input)
	require.NoError(t, w.GetWorkflowError())
	require.Contains(t, w.report().Warnings, "Iterable left out the fields plan, tier: the project does not create fields by itself")
}

// TestRowsThatIterableRefusesAreAWarning if they are more than may be rejected: an address of a project
// of user IDs is not known to it, for example. The few rows that each run sends again are none.
func TestRowsThatIterableRefusesAreAWarning(t *testing.T) {
	for read, warned := range map[int64]string{
		7:   `Iterable refused 7 of 7 rows, most as iterable_not_found; does the project identify profiles by email? (projectType of connection "marketing")`,
		100: "",
	} {
		w := newWorld(t)
		refused := map[schemas.Reason]int64{schemas.ReasonIterableInvalidEmail: 2, schemas.ReasonIterableNotFound: 5}
		w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(schemas.Manifest{Read: read, Adds: 7, AddBatches: 1}, nil)
		w.OnActivity(schemas.ActivityUploadBatches, mock.Anything, mock.Anything).Return(schemas.UploadCounts{Requests: 1, Refused: refused}, nil)
		w.goesWell(1)
		w.ExecuteWorkflow(ExportSegment, input)
		require.NoError(t, w.GetWorkflowError())
		require.Equal(t, warned, strings.Join(w.report().Warnings, "; "))
		_, told, _ := ended(schemas.RunInput{Export: input.Export}, schemas.RunProgress{State: schemas.StateDone,
			Result: &schemas.RunResult{Segments: []schemas.ExportReport{w.report()}}}, nil)
		require.Equal(t, warned != "", strings.Contains(told.Message, "; Iterable refused 7 of 7 rows, most as iterable_not_found, of segment"), told.Message)
	}
}

// TestARunOfNobodysAsksBeforeWhatLasts has runs that would create a data field and send
// everybody again.
func TestARunOfNobodysAsksBeforeWhatLasts(t *testing.T) {
	for name, c := range map[string]struct {
		set       schemas.Settings
		fields    []string
		again     string
		person    bool
		unchanged bool
		updates   int64
		want      []string
	}{
		"a new field":            {fields: []string{"plan", "tier"}, want: []string{"the fields plan, tier would be created in Iterable"}},
		"one that is allowed":    {set: schemas.Settings{NewFields: schemas.Allow}, fields: []string{"plan"}},
		"everybody again":        {again: "the mapping is another one", want: []string{"the mapping is another one, so all 1 profiles would be sent again"}},
		"which is allowed":       {set: schemas.Settings{FullRuns: schemas.Allow}, again: "the mapping is another one"},
		"both":                   {fields: []string{"plan"}, again: "lost", want: []string{"the field plan would be", "lost, so all"}},
		"another column":         {again: "there is another column", updates: 3, want: []string{"another column, so 3 profiles would be sent again"}},
		"both, for a person":     {fields: []string{"plan"}, again: "lost", person: true},
		"nothing has to be sent": {fields: []string{"plan"}, again: "lost", unchanged: true},
		"nothing of the kind":    {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.OnActivity(schemas.ActivityEnsureList, mock.Anything, mock.Anything).Return(schemas.ListRef{ID: 7, NewFields: c.fields}, nil)
			m := schemas.Manifest{Read: 1, Adds: 1, AddBatches: 1, SentAgain: c.again, Full: true}
			switch {
			case c.updates > 0:
				m.Full, m.Updates = false, c.updates
			case c.unchanged:
				m = schemas.Manifest{Read: 1, Unchanged: 1, SentAgain: c.again}
			}
			w.OnActivity(schemas.ActivityStageSegment, mock.Anything, mock.Anything).Return(m, nil)
			w.goesWell(1)
			asked := ""
			w.RegisterDelayedCallback(func() {
				if p := w.progress(); p.Waiting != nil {
					asked = p.Waiting.Message
					w.answer(schemas.UpdateApprove)
				}
			}, time.Minute)
			in := input
			in.Export.Settings, in.Scheduled = c.set, !c.person
			w.ExecuteWorkflow(ExportSegment, in)
			require.NoError(t, w.GetWorkflowError())
			require.Equal(t, len(c.want) > 0, asked != "", asked)
			for _, want := range c.want {
				require.Contains(t, asked, want)
			}
		})
	}
}
