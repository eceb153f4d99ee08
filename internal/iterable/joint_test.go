package iterable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/limits"
)

// Callers share a request for the lists that has not begun, and none that has: a list may have
// been made since. If the caller that would make it ends, another one does.
func TestListsAreSharedUntilTheRequestBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		c, err := New(Options{
			BaseURL: US, Key: func() (string, error) { return testKey, nil },
			Wait: func(ctx context.Context, _ api.Endpoint) error { return limits.Sleep(ctx, 10*time.Second) },
			HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				requests++
				body := fmt.Sprintf(`{"lists":[{"id":%d,"name":"l","listType":"Standard","createdAt":1}]}`, requests)
				time.Sleep(10 * time.Second)
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		lists := func(ctx context.Context, after time.Duration, want int64) {
			all.Go(func() {
				time.Sleep(after)
				got, err := c.Lists(ctx)
				switch {
				case want == 0:
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("after %v: %v, %v", after, got, err)
					}
				case err != nil || len(got) != 1 || got[0].ID != want:
					t.Errorf("after %v: %v, %v, want the answer of request %d", after, got, err, want)
				}
			})
		}
		ended, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		lists(ended, 0, 0)                    // would make the request after 10 s
		lists(t.Context(), 2*time.Second, 1)  // makes it after 15 s, or the next does
		lists(t.Context(), 3*time.Second, 1)  //
		lists(ended, 4*time.Second, 0)        //
		lists(t.Context(), 14*time.Second, 1) //
		lists(t.Context(), 16*time.Second, 2) // the first one is in progress
		lists(t.Context(), 24*time.Second, 2) //
		all.Wait()
		if requests != 2 {
			t.Errorf("%d requests", requests)
		}
	})
}
