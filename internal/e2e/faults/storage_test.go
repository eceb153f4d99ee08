package faults

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestADiskThatIsFull stages on a disk that is too small, until there is room.
func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", w.DataRoot).CombinedOutput(); err != nil {
		t.Skipf("no right to mount a small disk here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", w.DataRoot).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v %s", err, out)
		}
	})
	w.StartHost()
	expected := w.Generated(20_000)
	run := w.Start(w.Export("Full", "EmailAddress"))
	w.Until("staging says that the disk is full", func() bool {
		return strings.Contains(trouble(w, "Full", schemas.ActivityStageSegment), "no space left")
	})
	if out, err := exec.Command("mount", "-o", "remount,size=64m", w.DataRoot).CombinedOutput(); err != nil {
		t.Fatalf("make room: %v %s", err, out)
	}
	w.Done(w.Watch(run))
	w.Holds("Full", expected)
	w.NothingIsLeft()
}

// trouble is what an activity of the segment, or any if it is empty, failed with when
// it was last tried.
func trouble(w *world.World, segment, activity string) string {
	for _, id := range []string{schemas.SegmentWorkflowID(segment, segment), schemas.RunWorkflowID(segment)} {
		d, err := w.Client.DescribeWorkflowExecution(w.T.Context(), id, "")
		if err != nil {
			continue
		}
		for _, a := range d.PendingActivities {
			if (activity == "" || a.ActivityType.Name == activity) && a.LastFailure != nil {
				return a.LastFailure.Message
			}
		}
	}
	return ""
}

// TestADataRootOutOfReach takes the data root away in the midst of the steps that
// use it, with a file in its place, and brings it back.
func TestADataRootOutOfReach(t *testing.T) {
	t.Parallel()
	away := world.Earnest(0, time.Minute)
	moments := map[string]func(*world.World) bool{
		"at the start": func(*world.World) bool { return true },
		"while people are taken off": func(w *world.World) bool {
			return w.Requests("lists/unsubscribe") > 2
		},
		"while people are put on": func(w *world.World) bool {
			return w.Requests("lists/unsubscribe") > 2 && w.Requests("lists/subscribe") > 77
		},
	}
	if world.Earnest(true, false) { // at every other moment, the simulator has the data root fail
		delete(moments, "at the start")
		delete(moments, "while people are taken off")
	}
	for name, moment := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world.New(t, sandbox.Config{Rate: 40, Latency: 20 * time.Millisecond}, false)
			w.WriteConnections("{requestsPerSecond: 40, subscribersPerRequest: 20}")
			w.StartHost()
			folders, expected := w.Versions(1500)
			w.Done(w.Run(w.From(folders[0], "Away")))
			run := w.Start(w.From(folders[1], "Away"))
			w.Until(name, func() bool { return moment(w) })
			hide(w)
			w.Until("a step notices", func() bool { return trouble(w, "Away", "") != "" })
			w.Until("a look at the run says what fails, and that it is tried again", func() bool {
				v, err := w.Operator.Look(w.T.Context(), run)
				for _, r := range v.Retries() {
					return err == nil && r.Message != "" && r.Attempt > 0 && !r.Since.IsZero()
				}
				return false
			})
			time.Sleep(away)
			show(w)
			began := time.Now()
			w.Done(w.Watch(run))
			t.Logf("done %.1f s after the data root was back", time.Since(began).Seconds())
			w.Holds("Away", expected[1])
			w.NothingIsLeft()
		})
	}
}

// hide puts a file in place of the data root.
func hide(w *world.World) {
	w.T.Helper()
	if err := errors.Join(os.Rename(w.DataRoot, w.Path("hidden")), os.WriteFile(w.DataRoot, nil, 0o600)); err != nil {
		w.T.Fatal(err)
	}
}

func show(w *world.World) {
	w.T.Helper()
	if err := errors.Join(os.Remove(w.DataRoot), os.Rename(w.Path("hidden"), w.DataRoot)); err != nil {
		w.T.Fatal(err)
	}
}
