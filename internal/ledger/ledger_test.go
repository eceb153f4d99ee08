package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"iterable-segment-export/internal/rejects"
)

// TestARunWaitsForTheLeaseOfAnother workflow execution, and not for its own.
func TestARunWaitsForTheLeaseOfAnother(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	info := activity.Info{HeartbeatTimeout: time.Hour, WorkflowExecution: workflow.Execution{RunID: "mine"}}
	if err := outlive(ctx, info, Pending{Execution: "mine"}); err != nil {
		t.Error(err)
	}
	if err := outlive(ctx, info, Pending{Execution: "mine"}, Pending{Execution: "another"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v: it does not wait", err)
	}
}

// TestRefusalsAreReadABatchAtATime, and not all of them into memory.
func TestRefusalsAreReadABatchAtATime(t *testing.T) {
	files := 0
	s := &refusals{
		keys: []string{"a", "b", "c"},
		read: func(context.Context, string) ([]Refused, error) {
			files++
			return []Refused{{Row: int64(files)}, {Unsure: true}}, nil
		},
		reject: func(r Refused) rejects.Reject { return rejects.Reject{Row: r.Row} },
	}
	for n := 1; ; n++ {
		r, ok := s.Next()
		if !ok {
			break
		}
		if r.Row != int64(n) || files != n {
			t.Errorf("row %d, the %dth, after %d files", r.Row, n, files)
		}
	}
	if files != 3 || s.Err() != nil {
		t.Errorf("%d files, %v", files, s.Err())
	}
}
