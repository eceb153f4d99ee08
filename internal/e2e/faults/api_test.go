package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/iterable/api"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestFaultsOfTheAPI has the API fail in every way that a retry cures, all of its
// endpoints, while a list is filled and while it is changed.
func TestFaultsOfTheAPI(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	status := func(code int, share float64) sandbox.Fault {
		return sandbox.Fault{Kind: "status", Status: code, Share: share, Seed: uint64(code) + 1}
	}
	body := func(code int, body string, apply bool) sandbox.Fault {
		return sandbox.Fault{Kind: "status", Status: code, Body: body, Apply: apply, Share: 0.3, Seed: 5}
	}
	slow := world.Earnest(time.Second, time.Minute)
	storm := world.Earnest(sandbox.Fault{Kind: "storm", Count: 6}, sandbox.Fault{Kind: "storm", For: time.Minute})
	all := map[string][]sandbox.Fault{
		// Each fault takes its share of what those before it leave: 30 % in all.
		"5xx":              {status(500, 0.075), status(502, 0.081), status(503, 0.088), status(504, 0.097)},
		"reset":            {{Kind: "reset", Share: 0.3, Seed: 1}},
		"storm of 429":     {storm},
		"polite storm":     {{Kind: "storm", Count: 2, RetryAfter: 2}},
		"applied, lost":    {{Kind: "drop", Share: 0.3, Seed: 2}},
		"slow":             {{Kind: "slow", Delay: slow, Share: 0.6, Seed: 3, Count: 6}},
		"truncated":        {body(200, "truncated", true)},
		"empty":            {body(200, "empty", true)},
		"not JSON":         {body(200, "text", true)},
		"HTML with 200":    {body(200, "html", true)},
		"HTML with 502":    {body(502, "html", false)},
		"Success with 500": {body(500, "success", true)},
	}
	if world.Earnest(true, false) { // those with a share together, which meets every kind
		var kinds []sandbox.Fault
		for _, name := range slices.Sorted(maps.Keys(all)) {
			for _, f := range all[name] {
				if f.Share > 0 {
					f.Share, f.Seed = 0.03, uint64(len(kinds))
					kinds = append(kinds, f)
				}
			}
		}
		all = map[string][]sandbox.Fault{"every kind": kinds, "storms of 429": append(all["storm of 429"], all["polite storm"]...)}
	}
	for name, faults := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t, sandbox.Config{Rate: 40}, false)
			w.WriteConnections("{requestsPerSecond: 40, subscribersPerRequest: 20}")
			w.StartHost()
			folders, expected := w.Versions(1500)
			for i := range folders {
				if err := w.Sandbox.AddFaults(faults...); err != nil {
					t.Fatal(err)
				}
				began, before := time.Now(), faulty(w)
				r := w.DoneWithin(w.Start(w.From(folders[i], name)), world.Earnest(world.Patience, 20*time.Minute))
				w.Holds(name, expected[i])
				if faulty := faulty(w) - before; faulty == 0 {
					t.Error("no request met a fault")
				} else {
					t.Logf("version %d: %d requests met a fault, %d repeats, %.1f s", i+1, faulty,
						r.Upload.Requests-int64(r.Manifest.AddBatches+r.Manifest.RemoveBatches), time.Since(began).Seconds())
				}
				w.Sandbox.ClearFaults()
			}
			w.NothingIsLeft()
		})
	}
}

// faulty counts the requests that met a fault.
func faulty(w *world.World) (n int64) {
	for _, e := range w.Sandbox.Stats(false).Endpoints {
		n += e.Faults
	}
	return n
}

// TestWhatChangesInMidRun takes things away from a run that is sending: it waits
// for an operator with a message that says what to do, and ends right after it.
func TestWhatChangesInMidRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	all := world.New(t, sandbox.Config{Rate: 40, Burst: 1}, false)
	all.WriteConnections("{requestsPerSecond: 40, subscribersPerRequest: 20}")
	all.StartHost()
	for name, c := range map[string]struct {
		harm, cure func(*world.World)
		kind       schemas.ErrorType // of the wait; empty for none
		says       []string
	}{
		"key revoked": {
			harm: func(w *world.World) { w.Key(true) }, cure: func(w *world.World) { w.Key(false) },
			kind: schemas.ErrorKeyRejected, says: []string{"\"sandbox\"", "401", "check the connection's API key", "retry"},
		},
		"list deleted": {
			harm: func(w *world.World) { w.DeleteList(w.List(w.T.Name()).ID) }, cure: func(*world.World) {},
			kind: schemas.ErrorListGone, says: []string{"the list is not known", "the list is gone in Iterable", "retry looks for the list again"},
		},
		"a twin": {harm: func(w *world.World) { w.AddList(w.T.Name(), "") }},
	} {
		t.Run(name, func(t *testing.T) {
			w := all.In(t)
			// A run knows at once that an old list is gone. It waits a minute for a young one.
			w.Sandbox.AddList(api.List{Name: t.Name(), CreatedAt: time.Now().Add(-time.Hour).UnixMilli()})
			folders, expected := w.Versions(1500)
			for i := range folders {
				before := w.Requests("lists/subscribe") + w.Requests("lists/unsubscribe")
				run := w.Start(w.From(folders[i], t.Name()))
				w.Until("some requests are through", func() bool {
					return w.Requests("lists/subscribe")+w.Requests("lists/unsubscribe") >= before+4
				})
				id := w.List(t.Name()).ID
				c.harm(w)
				v := w.Watch(run)
				if c.kind != "" {
					w.WaitsWith(v, c.kind, c.says...)
					c.cure(w)
					v = w.Answer(v, schemas.UpdateRetry)
				}
				r := w.Done(v)
				holdsIn(w, r.ListID, expected[i])
				if c.kind == schemas.ErrorListGone && world.Earnest(true, false) {
					break // the list is young now
				}
				if c.kind == "" {
					if r.ListID != id {
						t.Errorf("filled list %d, and began with %d", r.ListID, id)
					}
					twins(w, folders[1], id, expected[1])
					break
				}
			}
			w.NothingIsLeft()
		})
	}
}

// twins runs an export whose list has got a twin: it fills the one that it filled before,
// and says so.
func twins(w *world.World, folder string, id int64, expected generate.Expected) {
	w.T.Helper()
	r := w.Done(w.Run(w.From(folder, w.T.Name())))
	if r.ListID != id || !strings.Contains(strings.Join(r.Warnings, "; "), fmt.Sprintf("list %d is filled, delete or rename the others", id)) {
		w.T.Errorf("filled list %d, not %d, with the warnings %q", r.ListID, id, r.Warnings)
	}
	holdsIn(w, id, expected)
}

// holdsIn is holds for a list of that id.
func holdsIn(w *world.World, id int64, expected generate.Expected) {
	w.T.Helper()
	for _, l := range w.Sandbox.Stats(true).Lists {
		if l.ID == id {
			if l.Digest != expected.Digest {
				w.T.Errorf("list %d has %d members and another digest than expected (%d)", id, l.Size, expected.Valid)
			}
			return
		}
	}
	w.T.Errorf("there is no list %d", id)
}
