package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// inBucket moves the world's sources and data root to a bucket.
func (w *world) inBucket(c *emulators.Cloud) {
	w.t.Helper()
	w.sources, w.dataRoot = c.At("lake/segments"), c.At("exports/data")
	w.writeConnections("{requestsPerSecond: 1000}")
	w.openRoot()
}

// publish copies generated files to where the sources are.
func (w *world) publish(from string) {
	w.t.Helper()
	bucket, err := storage.OpenRoot(w.t.Context(), w.sources)
	if err != nil {
		w.t.Fatal(err)
	}
	defer bucket.Close()
	files, err := filepath.Glob(filepath.Join(from, "*"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("nothing to publish: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := bucket.Write(w.t.Context(), "day=1/"+filepath.Base(f), data); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestSegmentsInBuckets has source and data root in each cloud's emulator, with
// answers that are cut short and refused on the way.
func TestSegmentsInBuckets(t *testing.T) {
	bin := build(t, "starter")
	for name, start := range emulators.All() {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			w := newWorld(t, sandbox.Config{}, false)
			w.inBucket(c)
			w.startHost()
			expected := w.generatedInBucket(20_000, 0)
			var reads atomic.Int64
			c.Hurt(func(r *http.Request) emulators.Harm {
				if !emulators.IsRead(r) {
					return emulators.None
				}
				switch reads.Add(1) {
				case 5, 9:
					return emulators.Truncate
				case 7:
					return emulators.Refuse
				}
				return emulators.None
			})
			e := w.export("In a bucket", "EmailAddress")
			e.Segments[0].Source = strings.Split(w.sources, "?")[0] + "/**/*.parquet" // where the bucket is says the administrator
			r := w.done(w.run(e))
			if l := w.list("In a bucket"); l.Digest != expected.Digest {
				t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
			}
			if reads.Load() < 9 {
				t.Errorf("only %d reads of objects: nothing was harmed", reads.Load())
			}
			w.rejectsAre(r, expected)
			w.nothingIsLeft()
			csv := starter{w, bin}.want(0, "rejects", "In a bucket", "--format", "csv")
			if rows := int64(strings.Count(csv, "EmailAddress")); rows != r.Manifest.Read-expected.Valid {
				t.Errorf("the starter shows %d rejects, want %d", rows, r.Manifest.Read-expected.Valid)
			}
			t.Logf("read %d of %d bytes in %d requests", r.Manifest.BytesRead, r.Info.Bytes, r.Manifest.Reads)
			if r.Manifest.BytesRead == 0 || 2*r.Manifest.BytesRead > r.Info.Bytes {
				t.Errorf("read %d of %d bytes for one column", r.Manifest.BytesRead, r.Info.Bytes)
			}

			c.Hurt(nil)
			changed := w.generatedInBucket(20_000, 0.1)
			r = w.done(w.run(e))
			if l := w.list("In a bucket"); l.Digest != changed.Digest || r.Manifest.Snapshot == "" {
				t.Errorf("the second run left %d members, want %d (snapshot %q)", l.Size, changed.Valid, r.Manifest.Snapshot)
			}
		})
	}
}

// generatedInBucket generates a segment and publishes it.
func (w *world) generatedInBucket(rows int64, churn float64) generate.Expected {
	w.t.Helper()
	out, expected := w.generatedAside(rows, churn)
	w.publish(out)
	return expected
}

// generatedAside generates a segment in a folder of its own.
func (w *world) generatedAside(rows int64, churn float64) (string, generate.Expected) {
	w.t.Helper()
	out := filepath.Join(w.t.TempDir(), "segments")
	expected, err := generate.Segment(w.t.Context(), generate.Options{Rows: rows, Out: out, Files: 2, Bad: 0.1, Seed: 7, Churn: churn})
	if err != nil {
		w.t.Fatal(err)
	}
	return out, expected
}

// TestASegmentReplacedInMidRead has a file of the segment replaced while it is
// read: the run waits, and starts over on retry.
func TestASegmentReplacedInMidRead(t *testing.T) {
	c := emulators.S3(t)
	w := newWorld(t, sandbox.Config{}, false)
	w.inBucket(c)
	w.startHost()
	w.generatedInBucket(20_000, 0)
	out, next := w.generatedAside(20_000, 0.1)
	var reads atomic.Int64
	c.Hurt(func(r *http.Request) emulators.Harm {
		// Inspecting takes two reads of each file, head and footer; the seventh is
		// the first of a column.
		if emulators.IsRead(r) && strings.Contains(r.URL.Path, "/lake/") && reads.Add(1) == 7 {
			c.Hurt(nil)
			w.publish(out)
		}
		return emulators.None
	})
	v := w.run(w.export("Replaced", "EmailAddress"))
	if waiting := w.waiting(v); waiting.Type != schemas.ErrorSegmentChanged {
		t.Fatalf("waits for %s: %s", waiting.Type, waiting.Message)
	}
	w.done(w.answer(v, schemas.UpdateRetry))
	if l := w.list("Replaced"); l.Digest != next.Digest {
		t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, next.Valid)
	}
}
