// Package simulate finds faults in runs. It plays histories: some runs of one or two
// exports with the real workflows, in the SDK's test environment, and the real activities,
// against a model of an Iterable project. Around them segments change, Iterable refuses
// profiles, others change the list, operators answer, cancel and terminate.
//
// Every effect of a run passes through a door: the HTTP transport, the data root, the
// heartbeats and the reports to Temporal. There the scheduler (world) decides by the history's
// seed which waiting effect is next, and its outcome: it succeeds, fails, or its answer is
// lost; its worker is killed, or frozen until another attempt has replaced it and made
// progress, perhaps in the next run.
//
// A history runs in a bubble of testing/synctest with its own time, and needs some
// milliseconds. A seed always plays the same history: a step waits for its turn until nothing
// else runs, and each decision depends on the seed and the step's name.
package simulate

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	metrics "go.opentelemetry.io/otel/metric/noop"
	traces "go.opentelemetry.io/otel/trace/noop"

	"iterable-segment-export/workflows"
)

// replay plays the history of a plan.
func replay(t *testing.T, p *plan) (w *world) {
	warm()
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t, p)
		w = h.world
		h.play()
		h.quit()
	})
	return w
}

// warm makes objects that all histories share. An object made in a bubble can't be used in
// another one.
var warm = sync.OnceFunc(func() {
	activityContext()
	// Histories need little memory and leave much behind. The limit is for objects that need two
	// cycles (finalizers, pools): with a high percentage alone they make the heap grow without end.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(512 << 20)
	// A folder in memory saves system calls that wait for a disk.
	if shm := "/dev/shm"; os.Getenv("TMPDIR") == "" && writable(shm) {
		must(os.Setenv("TMPDIR", shm))
	}
	// The bucket of the data root would prepare spans and measurements for a provider to come.
	otel.SetTracerProvider(traces.NewTracerProvider())
	otel.SetMeterProvider(metrics.NewMeterProvider())
	workflows.FirstChunk, workflows.ChunksPerExecution = 2, 2
})

// writable reports whether files can be made in a folder.
func writable(dir string) bool {
	f, err := os.CreateTemp(dir, "")
	if err != nil {
		return false
	}
	return errors.Join(f.Close(), os.Remove(f.Name())) == nil
}

// fromEnv returns a number from the environment.
func fromEnv(t *testing.T, name string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The number of histories if SIMULATE is not set.
const (
	usually = 2000
	shortly = 200
)

// TestHistories plays SIMULATE histories, with seeds from FIRST on, and prints the story of the
// first one that violates a check, in the shortest form. SEED plays one history and prints its
// whole story.
func TestHistories(t *testing.T) {
	if seed := fromEnv(t, "SEED", 0); seed > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // as in TestSeedsReplay
		p := newPlan(seed)
		p.told = true
		w := replay(t, p)
		t.Logf("seed %d:\n%s", seed, strings.Join(w.story, "\n"))
		if w.failure != nil {
			t.Error(w.failure)
		}
		return
	}
	n := uint64(usually)
	if testing.Short() {
		n = shortly
	}
	first, n := fromEnv(t, "FIRST", 1), fromEnv(t, "SIMULATE", n)
	began := time.Now()
	counts, failed := explore(t, first, n)
	var table strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&table, "%10d %s\n", counts[what], what)
	}
	t.Logf("seeds %d to %d, %s:\n%s", first, first+n-1, time.Since(began).Round(time.Second), table.String())
	slices.Sort(failed)
	for i, seed := range failed {
		p := newPlan(seed)
		w := replay(t, p)
		if w.failure == nil {
			t.Errorf("seed %d fails, and does not when it is replayed", seed)
			continue
		}
		text := w.failure.Error()
		if i == 0 {
			_, w = shrink(t, p, w)
			text = strings.Join(w.story, "\n")
		}
		t.Errorf("SEED=%d (the history after %d others): %s", seed, seed-first, text)
	}
}

// mostFailed is the number of violations that ends an exploration.
const mostFailed = 5

// explore plays n histories, one per processor at a time.
func explore(t *testing.T, first, n uint64) (counts map[string]int, failed []uint64) {
	counts = map[string]int{}
	var mu sync.Mutex
	t.Run("seeds", func(t *testing.T) {
		players := uint64(runtime.GOMAXPROCS(0))
		for k := range players {
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				t.Parallel()
				for seed := first + k; seed < first+n; seed += players {
					w := replay(t, newPlan(seed))
					mu.Lock()
					counts["histories"]++
					counts["steps"] += w.steps
					for what, n := range w.counts {
						counts[what] += n
					}
					if w.failure != nil {
						failed = append(failed, seed)
					}
					enough := len(failed) >= mostFailed
					mu.Unlock()
					if enough {
						return
					}
				}
			})
		}
	})
	return counts, failed
}

// quit ends all activity of an abandoned history.
func (h *history) quit() {
	h.calm = true
	for _, a := range h.attempts {
		a.kill()
	}
	for n := 0; n < 1000 && h.running.Load() > 0; n++ {
		for _, r := range h.active() {
			if !r.terminated {
				h.stop(r, "terminate")
			}
		}
		for h.step() {
		}
		h.pass(30 * time.Second)
	}
	close(h.work)
}

// TestSeedsReplay plays histories twice and compares them. One processor: with several, the
// goroutines that send the batches of one chunk may take them in another order.
func TestSeedsReplay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := uint64(1); seed <= 20; seed++ {
		var stories []string
		for range 2 {
			p := newPlan(seed)
			p.told = true
			stories = append(stories, strings.Join(replay(t, p).story, "\n"))
		}
		if stories[0] == stories[1] {
			continue
		}
		a, b := strings.Split(stories[0], "\n"), strings.Split(stories[1], "\n")
		i := 0
		for i < min(len(a), len(b))-1 && a[i] == b[i] {
			i++
		}
		t.Errorf("seed %d plays differently from line %d on:\n%s\n%s", seed, i, a[i], b[i])
	}
}
