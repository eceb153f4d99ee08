package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// chaosEnv makes the tests of kills, faults and load as long as they are in
// earnest; without it they take seconds.
const chaosEnv = "CHAOS"

// earnest is long in the long version of a test, else short.
func earnest[T any](short, long T) T {
	if os.Getenv(chaosEnv) != "" {
		return long
	}
	return short
}

// versions writes two versions of a segment, each to a folder of its own.
func (w *world) versions(rows int64) (folders [2]string, expected [2]generate.Expected) {
	w.t.Helper()
	for i := range folders {
		folders[i] = filepath.Join(w.sources, fmt.Sprintf("v%d", i+1))
		var err error
		if expected[i], err = generate.Segment(w.t.Context(), generate.Options{
			Rows: rows, Out: folders[i], Bad: 0.02, Seed: 3, Version: i + 1, Churn: 0.2,
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	return folders, expected
}

// from is an export of one of the versions.
func (w *world) from(folder, segment string) schemas.Export {
	e := w.export(segment, "EmailAddress")
	e.Segments[0].Source = folder
	return e
}

// holds fails the test unless the list is what the segment says.
func (w *world) holds(list string, expected generate.Expected) {
	w.t.Helper()
	if l := w.list(list); l.Digest != expected.Digest {
		w.t.Errorf("«%s» has %d members and another digest than expected (%d)", list, l.Size, expected.Valid)
	}
}

// TestFaultsOfTheAPI has the API fail in every way that a retry cures, all of its
// endpoints, while a list is filled and while it is changed.
func TestFaultsOfTheAPI(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	status := func(code int, share float64) sandbox.Fault {
		return sandbox.Fault{Kind: "status", Status: code, Share: share, Seed: uint64(code) + 1}
	}
	body := func(code int, body string, apply bool) sandbox.Fault {
		return sandbox.Fault{Kind: "status", Status: code, Body: body, Apply: apply, Share: 0.3, Seed: 5}
	}
	slow := earnest(time.Second, time.Minute)
	storm := earnest(sandbox.Fault{Kind: "storm", Count: 6}, sandbox.Fault{Kind: "storm", For: sandbox.Duration(time.Minute)})
	for name, faults := range map[string][]sandbox.Fault{
		// Each fault takes its share of what those before it leave: 30 % in all.
		"5xx":              {status(500, 0.075), status(502, 0.081), status(503, 0.088), status(504, 0.097)},
		"reset":            {{Kind: "reset", Share: 0.3, Seed: 1}},
		"storm of 429":     {storm},
		"polite storm":     {{Kind: "storm", Count: 2, RetryAfter: 2}},
		"applied, lost":    {{Kind: "drop", Share: 0.3, Seed: 2}},
		"slow":             {{Kind: "slow", Delay: sandbox.Duration(slow), Share: 0.3, Seed: 3, Count: 6}},
		"truncated":        {body(200, "truncated", true)},
		"empty":            {body(200, "empty", true)},
		"not JSON":         {body(200, "text", true)},
		"HTML with 200":    {body(200, "html", true)},
		"HTML with 502":    {body(502, "html", false)},
		"Success with 500": {body(500, "success", true)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Config{}, false)
			w.writeConnections("{requestsPerSecond: 1000, subscribersPerRequest: 100}")
			w.startHost()
			folders, expected := w.versions(1500)
			for i := range folders {
				if err := w.sandbox.AddFaults(faults...); err != nil {
					t.Fatal(err)
				}
				began, before := time.Now(), w.faulty()
				r := w.doneWithin(w.start(w.from(folders[i], name)), earnest(patience, 20*time.Minute))
				w.holds(name, expected[i])
				if faulty := w.faulty() - before; faulty == 0 {
					t.Error("no request met a fault")
				} else {
					t.Logf("version %d: %d requests met a fault, %d repeats, %.1f s", i+1, faulty,
						r.Upload.Requests-int64(r.Manifest.AddBatches+r.Manifest.RemoveBatches), time.Since(began).Seconds())
				}
				w.sandbox.ClearFaults()
			}
			w.nothingIsLeft()
		})
	}
}

// faulty counts the requests that met a fault.
func (w *world) faulty() (n int64) {
	for _, e := range w.sandbox.Stats(false).Endpoints {
		n += e.Faults
	}
	return n
}

// TestWhatChangesInMidRun takes things away from a run that is sending: it waits
// for an operator with a message that says what to do, and ends right after it.
func TestWhatChangesInMidRun(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	for name, c := range map[string]struct {
		harm, cure func(*world)
		kind       schemas.ErrorType // of the wait; empty for none
		says       []string
	}{
		"key revoked": {
			harm: func(w *world) { w.key(true) }, cure: func(w *world) { w.key(false) },
			kind: schemas.ErrorKeyRejected, says: []string{"«sandbox»", "401", "check the connection's API key", "retry"},
		},
		"list deleted": {
			harm: func(w *world) { w.deleteList(w.list(w.t.Name()).ID) }, cure: func(*world) {},
			kind: schemas.ErrorListGone, says: []string{"404", "check that the list still exists", "retry looks for the list again"},
		},
		"a twin": {harm: func(w *world) { w.addList(w.t.Name(), "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Config{Rate: 40, Burst: 1}, false)
			w.writeConnections("{requestsPerSecond: 40, subscribersPerRequest: 20}")
			w.startHost()
			folders, expected := w.versions(1500)
			for i := range folders {
				before := w.requests("lists/subscribe") + w.requests("lists/unsubscribe")
				run := w.start(w.from(folders[i], t.Name()))
				w.until("some requests are through", func() bool {
					return w.requests("lists/subscribe")+w.requests("lists/unsubscribe") >= before+4
				})
				id := w.list(t.Name()).ID
				c.harm(w)
				v := w.watch(run)
				if c.kind != "" {
					w.waitsWith(v, c.kind, c.says...)
					c.cure(w)
					v = w.answer(v, schemas.UpdateRetry)
				}
				r := w.done(v)
				w.holdsIn(r.ListID, expected[i])
				if c.kind == "" {
					if r.ListID != id {
						t.Errorf("filled list %d, and began with %d", r.ListID, id)
					}
					w.twins(folders[1], id, expected[1])
					break
				}
			}
			w.nothingIsLeft()
		})
	}
}

// twins runs an export whose list has got a twin: it waits until one of them is gone.
func (w *world) twins(folder string, id int64, expected generate.Expected) {
	w.t.Helper()
	v := w.run(w.from(folder, w.t.Name()))
	w.waitsWith(v, schemas.ErrorListAmbiguous, "2 lists are named", "listId", "rename", "retry")
	for _, l := range w.sandbox.Stats(false).Projects[0].Lists {
		if l.ID != id {
			w.deleteList(l.ID)
		}
	}
	w.done(w.answer(v, schemas.UpdateRetry))
	w.holdsIn(id, expected)
}

// waitsWith fails the test unless the run waits for that, and says so.
func (w *world) waitsWith(v operate.View, kind schemas.ErrorType, says ...string) {
	w.t.Helper()
	waiting := w.waiting(v)
	if waiting.Type != kind {
		w.t.Fatalf("waits for %s: %s; want %s", waiting.Type, waiting.Message, kind)
	}
	for _, s := range says {
		if !strings.Contains(waiting.Message, s) {
			w.t.Errorf("waits with %q, which lacks %q", waiting.Message, s)
		}
	}
}

// holdsIn is holds for a list of that id.
func (w *world) holdsIn(id int64, expected generate.Expected) {
	w.t.Helper()
	for _, l := range w.sandbox.Stats(true).Projects[0].Lists {
		if l.ID == id {
			if l.Digest != expected.Digest {
				w.t.Errorf("list %d has %d members and another digest than expected (%d)", id, l.Size, expected.Valid)
			}
			return
		}
	}
	w.t.Errorf("there is no list %d", id)
}

// doneWithin waits so long for the run's good end.
func (w *world) doneWithin(run operate.Run, most time.Duration) schemas.ExportReport {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), most)
	defer cancel()
	v, err := w.operator.Watch(ctx, run, lookEvery, true, nil)
	if err != nil {
		w.t.Fatalf("%v; last seen: %+v", err, v)
	}
	return w.done(v)
}

// deleteList deletes a list as one of Iterable's other users would.
func (w *world) deleteList(id int64) {
	w.t.Helper()
	w.call(http.MethodDelete, fmt.Sprint("/api/lists/", id), "")
}
