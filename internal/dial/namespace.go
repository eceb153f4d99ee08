package dial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// RetentionDays is how long a namespace that MakeNamespace creates keeps ended runs.
const RetentionDays = 30

// A server notices a new namespace after some seconds.
const (
	namespaceTime  = time.Minute
	namespacePause = 200 * time.Millisecond
)

// MakeNamespace creates a namespace, unless it exists, and reports whether it did. It blocks
// until the namespace can be used. Without the right to ask, it is assumed to exist.
func MakeNamespace(ctx context.Context, c client.Client, name string) (made bool, err error) {
	if !missing(ctx, c, name) {
		return false, nil
	}
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(RetentionDays * 24 * time.Hour),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return false, fmt.Errorf("create the namespace %s: %w; Temporal Cloud creates namespaces in its UI or with tcld", name, err)
	}
	if err := await(ctx, c, name, namespaceTime, namespacePause); err != nil {
		return true, fmt.Errorf("the namespace %s was created, and can't be used yet: %w; try again", name, err)
	}
	return true, nil
}

// AwaitNamespace blocks until a namespace exists, for at most patience. Without the right to ask,
// it is assumed to exist.
func AwaitNamespace(ctx context.Context, c client.Client, name string, patience time.Duration, log *slog.Logger) error {
	if !missing(ctx, c, name) {
		return nil
	}
	fix := fmt.Sprintf("starter doctor --fix --namespace %q", name)
	log.Warn("the namespace does not exist; waiting for it", "namespace", name, "fix", fix)
	if err := await(ctx, c, name, patience, 5*namespacePause); err != nil {
		return fmt.Errorf("Temporal has no namespace %q: create it with %s, or set TEMPORAL_NAMESPACE", name, fix)
	}
	return nil
}

// missing reports whether Temporal says that a namespace does not exist.
func missing(ctx context.Context, c client.Client, name string) bool {
	var not *serviceerror.NamespaceNotFound
	_, err := Attributes(ctx, c, name)
	return errors.As(err, &not)
}

// await blocks until a namespace is not missing. The error is that of the context.
func await(ctx context.Context, c client.Client, name string, patience, pause time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for missing(ctx, c, name) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
