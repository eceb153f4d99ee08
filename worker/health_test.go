package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.temporal.io/sdk/client"
)

// answering is a Temporal that is well, unless it has an error.
type answering struct {
	client.Client
	err error
}

func (a answering) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	return nil, a.err
}

// TestReadiness asks /readyz of a worker that starts, runs, does not reach Temporal, or has a task
// queue that it does not serve any more.
func TestReadiness(t *testing.T) {
	none := func() error { return nil }
	for name, c := range map[string]struct {
		worker *running
		want   int
	}{
		"starting":       {nil, http.StatusServiceUnavailable},
		"running":        {&running{answering{}, none}, http.StatusOK},
		"no Temporal":    {&running{answering{err: errors.New("down")}, none}, http.StatusServiceUnavailable},
		"a queue failed": {&running{answering{}, func() error { return errors.New("gone") }}, http.StatusServiceUnavailable},
	} {
		h := &health{}
		h.ready(c.worker)
		answer := httptest.NewRecorder()
		if h.readyz(answer, httptest.NewRequest(http.MethodGet, "/readyz", nil)); answer.Code != c.want {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}
