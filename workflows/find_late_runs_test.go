package workflows_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// TestLateRunsAreTold gives the last look to the next one, and sends what it finds to the targets
// that want it.
func TestLateRunsAreTold(t *testing.T) {
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	before := schemas.LateRuns{LookedAt: time.Date(2026, 11, 26, 4, 0, 0, 0, time.UTC), Exports: map[string]schemas.Watched{"Spring": {Slow: "run"}}, Found: []schemas.LateRun{{Event: "old"}}}
	env.SetLastCompletionResult(before)
	all := schemas.Notify{URL: schemas.NotifyURL{URL: "https://a.example.com"}, On: []string{schemas.EventRecovered, schemas.EventOverdue}}
	byDefault := schemas.Notify{URL: schemas.NotifyURL{URL: "https://b.example.com"}}
	var got schemas.LateRuns
	env.RegisterActivityWithOptions(func(_ context.Context, in schemas.LateRuns) (schemas.LateRuns, error) {
		got = in
		return schemas.LateRuns{Found: []schemas.LateRun{
			{Event: schemas.EventOverdue, Export: "Spring", Connection: "c", Notify: []schemas.Notify{all, byDefault}, Late: schemas.Lateness{Due: before.LookedAt}},
			{Event: schemas.EventRecovered, Export: "Autumn", Connection: "c", Notify: []schemas.Notify{all, byDefault}, Late: schemas.Lateness{RunID: "r"}},
		}}, nil
	}, activity.RegisterOptions{Name: schemas.ActivityFindLateRuns})
	env.RegisterWorkflowWithOptions(workflows.Notify, workflow.RegisterOptions{Name: schemas.WorkflowNotify})
	var sent []string
	env.OnWorkflow(schemas.WorkflowNotify, mock.Anything, mock.Anything).Return(func(_ workflow.Context, in schemas.NotifyInput) error {
		sent = append(sent, in.To.URL.URL+" "+in.Message.Type+" "+in.Message.Data.Export+": "+in.Message.Data.Message)
		return nil
	})
	env.ExecuteWorkflow(workflows.FindLateRuns)
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if got.Exports["Spring"].Slow != "run" || len(got.Found) > 0 {
		t.Errorf("the look began with %+v", got)
	}
	want := []string{
		"https://a.example.com run.overdue Spring: the run that was due at 26 Nov 2026 04:00 UTC has not begun",
		"https://b.example.com run.overdue Spring: the run that was due at 26 Nov 2026 04:00 UTC has not begun",
		"https://a.example.com run.recovered Autumn: a run is done again",
	}
	if len(sent) != len(want) {
		t.Fatalf("sent %q", sent)
	}
	for i := range want {
		if sent[i] != want[i] {
			t.Errorf("sent %q, want %q", sent[i], want[i])
		}
	}
}
