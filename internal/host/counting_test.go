package host

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"iterable-segment-export/internal/observe"
	"iterable-segment-export/internal/step"
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
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: math.MaxInt64, Interceptors: []interceptor.WorkerInterceptor{&counting{metrics: metrics}}})
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

// TestWhatTheLogSaysOfAWait: that it began, what was answered and how the run ended. The
// activity after which a run waits is not the worker's error.
func TestWhatTheLogSaysOfAWait(t *testing.T) {
	metrics, err := observe.NewMetrics()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(&text, nil))))
	env := suite.NewTestWorkflowEnvironment()
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: math.MaxInt64, Interceptors: []interceptor.WorkerInterceptor{&counting{metrics: metrics}}})
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: schemas.RunWorkflowID("Spring"), TaskQueue: schemas.TaskQueue})
	workflows.Register(env)
	env.RegisterActivityWithOptions(func(schemas.AuthorizeInput) (schemas.AuthorizeResult, error) {
		return schemas.AuthorizeResult{}, step.NeedOperator(schemas.ErrorNoConsent, "nobody has agreed")
	}, activity.RegisterOptions{Name: schemas.ActivityAuthorize})
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow(schemas.QueryProgress)
		var now schemas.RunProgress
		if err = errors.Join(err, value.Get(&now)); err != nil || now.Waiting == nil {
			t.Fatalf("%+v, %v", now, err)
		}
		env.UpdateWorkflow(schemas.UpdateAbort, "", &testsuite.TestUpdateCallback{
			OnReject: func(err error) { t.Error(err) }, OnAccept: func() {}, OnComplete: func(any, error) {},
		}, schemas.Answer{Who: "ann", Wait: now.Waiting.ID})
	}, time.Minute)
	env.ExecuteWorkflow(schemas.WorkflowRunExport, schemas.RunInput{Export: schemas.Export{Name: "Spring", Connection: "marketing"}})
	said := text.String()
	for _, want := range []string{`msg="wait began"`, `message="nobody has agreed"`, `msg="wait answered"`, "answer=abort", `msg="run ended"`, "state=aborted"} {
		if !strings.Contains(said, want) {
			t.Errorf("the log lacks %s:\n%s", want, said)
		}
	}
	if strings.Contains(said, "level=ERROR") {
		t.Errorf("the log has an error:\n%s", said)
	}
}
