package host

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"iterable-segment-export/internal/observe"
	"iterable-segment-export/schemas"
	"iterable-segment-export/workflows"
)

// TestEveryRunThatEndsIsCounted, also one that is refused before its first step; a check is
// no run.
func TestEveryRunThatEndsIsCounted(t *testing.T) {
	metrics, err := observe.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	for id, check := range map[string]bool{schemas.RunWorkflowID("Spring"): false, schemas.CheckWorkflowID("Spring"): true} {
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestWorkflowEnvironment()
		env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&counting{metrics: metrics}}})
		env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: schemas.TaskQueue})
		workflows.Register(env)
		env.RegisterActivityWithOptions(func(schemas.AuthorizeInput) (schemas.AuthorizeResult, error) { return schemas.AuthorizeResult{}, nil },
			activity.RegisterOptions{Name: schemas.ActivityAuthorize})
		env.OnActivity(schemas.ActivityAuthorize, mock.Anything).Return(schemas.AuthorizeResult{}, temporal.NewNonRetryableApplicationError("no grant", schemas.ErrorGrant, nil))
		env.ExecuteWorkflow(schemas.WorkflowRunExport, schemas.RunInput{Export: schemas.Export{Name: "Spring", Connection: "marketing"}, Check: check})
		if err := env.GetWorkflowError(); err == nil || !strings.Contains(err.Error(), "no grant") {
			t.Fatalf("the run ends with %v", err)
		}
	}
	answer := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if text := answer.Body.String(); !strings.Contains(text, `export_run_seconds_count{export="Spring",state="failed"} 1`) {
		t.Errorf("the metrics are\n%s", text)
	}
}
