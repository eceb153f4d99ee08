package runs

import (
	"fmt"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// A list that was just made is not known to Iterable for a while: the run waits,
// rejects nobody and makes no list more.
func TestANewListThatIsNotKnownYet(t *testing.T) {
	for _, delay := range world.Earnest([]time.Duration{4 * time.Second}, []time.Duration{-1, time.Second, 4 * time.Second, 30 * time.Second}) {
		t.Run(delay.String(), func(t *testing.T) {
			t.Parallel()
			w := world.New(t, sandbox.Config{NewList: delay, Exactly: true}, false)
			w.StartHost()
			expected := w.Generated(2500)
			r := w.Done(w.Run(w.Export("New", "EmailAddress")))
			w.Holds("New", expected)
			if r.Upload.Sent != expected.Valid || len(r.Upload.Refused) != 0 {
				t.Errorf("%+v", r.Upload)
			}
			if n := w.Requests("lists/create"); n != 1 {
				t.Errorf("%d lists were made", n)
			}
			// One request at a time asks whether the list is known, at most 18 times within 30 s.
			if n := r.Upload.Requests; n > 20 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// Several small segments at the limits that Iterable documents, and its delays: no
// request is one too many, with one worker and with five. The limit of subscribe is not
// documented, and several workers may meet it.
func TestSmallSegmentsAtTheDocumentedLimits(t *testing.T) {
	for _, workers := range []int{1, 5} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			t.Parallel()
			w := world.New(t, sandbox.Config{NewList: sandbox.DefaultNewList}, false)
			for range workers {
				w.StartHost()
			}
			e := schemas.Export{Name: "Small", Connection: "sandbox", Email: "email"}
			e.Fields.List = []schemas.Field{{Column: "n"}}
			for i := range 8 {
				name := fmt.Sprintf("segment %d", i)
				e.Segments = append(e.Segments, schemas.Segment{Name: name, Source: w.People(name, 1, 3, 3)})
			}
			for _, run := range []string{"first", "refresh"} {
				if v := w.Run(e); v.State != schemas.StateDone {
					t.Fatalf("the %s is %s: %s", run, v.State, v.Error)
				}
			}
			for name, s := range w.Sandbox.Stats(false).Endpoints {
				if s.Throttled > 0 && (workers == 1 || name != api.Subscribe.Name) {
					t.Errorf("%d of %d requests to %s were answered 429", s.Throttled, s.Requests, name)
				}
			}
			if n := w.Requests(api.ListSize.Name); n > 8 {
				t.Errorf("%d requests for a list's size", n)
			}
			for i := range 8 {
				if got := w.Members(fmt.Sprintf("segment %d", i)); len(got) != 3 {
					t.Errorf("segment %d has %d members", i, len(got))
				}
			}
		})
	}
}
