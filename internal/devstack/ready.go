package devstack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
)

// ready blocks until the namespace and its search attributes can be used.
func (s *Stack) ready(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	c, err := client.NewLazyClient(client.Options{HostPort: s.frontend, Namespace: o.Namespace, Logger: quiet{}})
	if err != nil {
		return fmt.Errorf("connect to the embedded Temporal: %w", err)
	}
	defer c.Close()
	query := usesAll(o.SearchAttributes)
	err = s.eventually(ctx, func(ctx context.Context) error {
		if o.DataDir != "" {
			if err := addAttributes(ctx, c, o); err != nil {
				return err
			}
		}
		_, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1, Query: query})
		return err
	})
	if err != nil {
		return fmt.Errorf("the embedded Temporal did not get ready: %w", err)
	}
	return nil
}

// eventually retries until it succeeds, ctx ends or the server fails.
func (s *Stack) eventually(ctx context.Context, try func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-s.fatal.happened:
			return s.fatal.err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// usesAll returns a query that the server rejects until it knows all attributes.
func usesAll(attributes map[string]enums.IndexedValueType) string {
	var terms []string
	for name := range attributes {
		terms = append(terms, fmt.Sprintf("`%s` IS NULL", name))
	}
	slices.Sort(terms)
	return strings.Join(terms, " AND ")
}

// addAttributes adds the attributes that a namespace of an earlier run lacks.
func addAttributes(ctx context.Context, c client.Client, o Options) error {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: o.Namespace})
	if err != nil {
		return err
	}
	missing := map[string]enums.IndexedValueType{}
	for name, kind := range o.SearchAttributes {
		if _, ok := have.CustomAttributes[name]; !ok {
			missing[name] = kind
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: o.Namespace, SearchAttributes: missing})
	return err
}
