package faults

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// soak is a worker's load, and how it is watched.
type soak struct {
	*world.World
	exports int
	every   time.Duration // a run of each export
	look    time.Duration // a line of figures
	looks   int
	health  string
	pid     int
}

// soakFigures are what a worker takes, over the time between two looks.
type soakFigures struct {
	done, running int64
	heap          float64 // the least bytes allocated, which is what a collection has left
	resident      float64 // bytes, at the end
	goroutines    float64 // the least
	files         int     // the least open
}

// TestSoak has one worker run many exports, each of them again and again by a
// schedule of its own. Everybody is sent in every run. It prints what the worker
// takes, which may not grow, and checks the lists at the end.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	// Fast: what is looked at is a worker at work, and not one that waits for Iterable's limits.
	w, _ := world.NewApart(t, sandbox.Config{Fast: true}, "{}")
	s := &soak{
		World: w, exports: world.Earnest(10, number(t, "SOAK_EXPORTS", 200)), every: world.Earnest(2*time.Second, time.Minute),
		look: world.Earnest(2*time.Second, time.Minute), looks: world.Earnest(6, number(t, "SOAK_MINUTES", 20)),
	}
	expected := s.segments(world.Earnest(int64(1000), 10_000))
	s.startWorker()
	stop := s.schedules()
	var all []soakFigures
	for i := range s.looks {
		f := s.watchFor(s.look)
		all = append(all, f)
		t.Logf("%3d: %5d runs done, %3d under way, heap %5.1f MB, resident %6.1f MB, %4.0f goroutines, %3d open files",
			i+1, f.done, f.running, f.heap/1e6, f.resident/1e6, f.goroutines, f.files)
	}
	stop()
	s.Until("all runs are over", func() bool { return s.counted("ExecutionStatus = 'Running'") == 0 })
	if n := s.counted("ExecutionStatus != 'Completed'"); n > 0 {
		t.Errorf("%d runs did not get through", n)
	}
	for i := range s.exports {
		s.Holds(s.name(i), expected[i%len(expected)])
	}
	s.grows(all)
	s.NothingIsLeft()
}

// number reads a number from the environment.
func number(t *testing.T, env string, otherwise int) int {
	text := os.Getenv(env)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; give a number", env, text)
	}
	return n
}

func (s *soak) name(i int) string { return fmt.Sprintf("Soak %03d", i) }

// segments writes the segments that the exports share.
func (s *soak) segments(rows int64) (expected [10]generate.Expected) {
	s.T.Helper()
	for i := range expected {
		var err error
		if expected[i], err = generate.Segment(s.T.Context(), generate.Options{
			Rows: rows, Out: s.folder(i), Bad: 0.02, Seed: int64(i),
		}); err != nil {
			s.T.Fatal(err)
		}
	}
	return expected
}

func (s *soak) folder(i int) string { return filepath.Join(s.Sources, fmt.Sprint(i%10)) }

func (s *soak) startWorker() {
	s.T.Helper()
	s.health = world.FreeAddr(s.T)
	cmd := exec.Command(world.Build(s.T, "worker"))
	cmd.Env = []string{"HEALTH_ADDR=" + s.health}
	s.pid = s.ProcessOf("soak.log", cmd).Process.Pid
}

// schedules starts the exports, evenly spread over the time between their runs,
// and gives what ends that.
func (s *soak) schedules() (stop func()) {
	s.T.Helper()
	var handles []client.ScheduleHandle
	for i := range s.exports {
		e := s.From(s.folder(i), s.name(i))
		h, err := s.Client.ScheduleClient().Create(s.T.Context(), client.ScheduleOptions{
			ID: "soak/" + e.Name,
			Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{
				Every: s.every, Offset: (time.Duration(i) * s.every / time.Duration(s.exports)).Truncate(time.Second),
			}}},
			Action: &client.ScheduleWorkflowAction{
				ID: schemas.RunWorkflowID(e.Name), Workflow: schemas.WorkflowRunExport, TaskQueue: schemas.TaskQueue,
				Args: []any{schemas.RunInput{Export: e, Full: true}},
			},
		})
		if err != nil {
			s.T.Fatal(err)
		}
		handles = append(handles, h)
	}
	return func() {
		for _, h := range handles {
			if err := h.Delete(s.T.Context()); err != nil {
				s.T.Error(err)
			}
		}
	}
}

// watchFor looks at the worker once a second for so long.
func (s *soak) watchFor(d time.Duration) soakFigures {
	s.T.Helper()
	var f soakFigures
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		m := s.scrape()
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
		if err != nil {
			s.T.Skipf("the test needs /proc: %v", err)
		}
		heap, goroutines := m["go_memstats_heap_alloc_bytes"], m["go_goroutines"]
		if f.heap == 0 {
			f.heap, f.goroutines, f.files = heap, goroutines, len(files)
		}
		f.heap, f.goroutines, f.files = min(f.heap, heap), min(f.goroutines, goroutines), min(f.files, len(files))
		f.resident = m["process_resident_memory_bytes"]
	}
	f.done, f.running = s.counted("ExecutionStatus = 'Completed'"), s.counted("ExecutionStatus = 'Running'")
	return f
}

// scrape reads the worker's metrics that have no labels; none while it starts.
func (s *soak) scrape() map[string]float64 {
	s.T.Helper()
	m := map[string]float64{}
	resp, err := http.Get("http://" + s.health + "/metrics")
	if err != nil {
		return m
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			m[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return m
}

// counted counts the runs of which something is so.
func (s *soak) counted(what string) int64 {
	s.T.Helper()
	r, err := s.Client.CountWorkflow(s.T.Context(), &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: "default", Query: "WorkflowType = '" + schemas.WorkflowRunExport + "' AND " + what,
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return r.Count
}

// grows fails the test if the worker takes more at the end than it took when it
// had warmed up: a quarter, and a little for chance. It takes more while runs stage;
// so what counts at the end is the least, which a leak lifts too.
func (s *soak) grows(all []soakFigures) {
	s.T.Helper()
	third := max(1, len(all)/3)
	for what, c := range map[string]struct {
		of     func(soakFigures) float64
		little float64
	}{
		"heap":       {func(f soakFigures) float64 { return f.heap }, 20e6},
		"goroutines": {func(f soakFigures) float64 { return f.goroutines }, 50},
		"open files": {func(f soakFigures) float64 { return float64(f.files) }, 20},
	} {
		figures := func(of []soakFigures) []float64 {
			var v []float64
			for _, f := range of {
				v = append(v, c.of(f))
			}
			return slices.Sorted(slices.Values(v))
		}
		warm, end := figures(all[third/2 : third/2+third])[third/2], figures(all[len(all)-third:])[0]
		if end > warm*1.25+c.little {
			s.T.Errorf("%s: %.0f when warm, %.0f at the end", what, warm, end)
		}
	}
}
