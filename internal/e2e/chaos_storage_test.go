package e2e

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestADiskThatIsFull stages on a disk that is too small, until there is room.
func TestADiskThatIsFull(t *testing.T) {
	w := newWorld(t, sandbox.Config{}, false)
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", w.dataRoot).CombinedOutput(); err != nil {
		t.Skipf("no right to mount a small disk here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", w.dataRoot).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v %s", err, out)
		}
	})
	w.startHost()
	expected := w.generated(20_000)
	run := w.start(w.export("Full", "EmailAddress"))
	w.until("staging says that the disk is full", func() bool {
		return strings.Contains(w.trouble("Full", schemas.ActivityStageSegment), "no space left")
	})
	if out, err := exec.Command("mount", "-o", "remount,size=64m", w.dataRoot).CombinedOutput(); err != nil {
		t.Fatalf("make room: %v %s", err, out)
	}
	w.done(w.watch(run))
	w.holds("Full", expected)
	w.nothingIsLeft()
}

// trouble is what an activity of the segment failed with when it was last tried.
func (w *world) trouble(segment, activity string) string {
	d, err := w.client.DescribeWorkflowExecution(w.t.Context(), schemas.SegmentWorkflowID(segment, segment), "")
	if err != nil {
		return ""
	}
	for _, a := range d.PendingActivities {
		if a.ActivityType.Name == activity {
			return a.LastFailure.GetMessage()
		}
	}
	return ""
}

// TestADataRootOutOfReach takes the data root away in the midst of the steps that
// use it, with a file in its place, and brings it back.
func TestADataRootOutOfReach(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	away := earnest(3*time.Second, time.Minute)
	for name, moment := range map[string]func(*world) bool{
		"at the start": func(*world) bool { return true },
		"while people are taken off": func(w *world) bool {
			return w.requests("lists/unsubscribe") > 2
		},
		"while people are put on": func(w *world) bool {
			return w.requests("lists/unsubscribe") > 2 && w.requests("lists/subscribe") > 77
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sandbox.Config{Latency: 20 * time.Millisecond}, false)
			w.writeConnections("{requestsPerSecond: 40, subscribersPerRequest: 20}")
			w.startHost()
			folders, expected := w.versions(1500)
			w.done(w.run(w.from(folders[0], "Away")))
			run := w.start(w.from(folders[1], "Away"))
			w.until(name, func() bool { return moment(w) })
			w.hide()
			time.Sleep(away)
			w.show()
			began := time.Now()
			w.done(w.watch(run))
			t.Logf("done %.1f s after the data root was back", time.Since(began).Seconds())
			w.holds("Away", expected[1])
			w.nothingIsLeft()
		})
	}
}

// hide puts a file in place of the data root.
func (w *world) hide() {
	w.t.Helper()
	if err := errors.Join(os.Rename(w.dataRoot, w.path("hidden")), os.WriteFile(w.dataRoot, nil, 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) show() {
	w.t.Helper()
	if err := errors.Join(os.Remove(w.dataRoot), os.Rename(w.path("hidden"), w.dataRoot)); err != nil {
		w.t.Fatal(err)
	}
}
