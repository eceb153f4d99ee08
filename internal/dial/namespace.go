package dial

import (
	"context"
	"errors"
	"fmt"
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
	var missing *serviceerror.NamespaceNotFound
	if _, err := Attributes(ctx, c, name); !errors.As(err, &missing) {
		return false, nil
	}
	_, err = c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(RetentionDays * 24 * time.Hour),
	})
	var exists *serviceerror.NamespaceAlreadyExists
	if err != nil && !errors.As(err, &exists) {
		return false, fmt.Errorf("create the namespace %s: %w; Temporal Cloud creates namespaces in its UI or with tcld", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, namespaceTime)
	defer cancel()
	for {
		_, err := Attributes(ctx, c, name)
		if err == nil || !errors.As(err, &missing) {
			return true, err
		}
		select {
		case <-time.After(namespacePause):
		case <-ctx.Done():
			return true, fmt.Errorf("the namespace %s was created, and can't be used yet: %w; try again", name, err)
		}
	}
}
