package runs

import (
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// TestSegmentsInBuckets has source and data root in each cloud's emulator, with
// answers that are cut short and refused on the way.
func TestSegmentsInBuckets(t *testing.T) {
	t.Parallel()
	for name, start := range emulators.All() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t)
			w := world.New(t, sandbox.Config{}, false)
			w.InBucket(c)
			w.StartHost()
			expected := generatedInBucket(w, 20_000, 0)
			var reads atomic.Int64
			c.Hurt(func(r *http.Request) emulators.Harm {
				if !emulators.IsRead(r) {
					return emulators.Unharmed
				}
				switch reads.Add(1) {
				case 5, 9:
					return emulators.Truncate
				case 7:
					return emulators.Refuse
				}
				return emulators.Unharmed
			})
			e := w.Export("In a bucket", "EmailAddress")
			e.Segments[0].Source = strings.Split(w.Sources, "?")[0] + "/**/*.parquet" // where the bucket is says the administrator
			r := w.Done(w.Run(e))
			if l := w.List("In a bucket"); l.Digest != expected.Digest {
				t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, expected.Valid)
			}
			if reads.Load() < 9 {
				t.Errorf("only %d reads of objects: nothing was harmed", reads.Load())
			}
			w.RejectsAre(r, expected)
			w.NothingIsLeft()
			csv := w.Starter().Want(0, "rejects", "In a bucket", "--format", "csv")
			if rows := int64(strings.Count(csv, "EmailAddress")); rows != r.Manifest.Read-expected.Valid {
				t.Errorf("the starter shows %d rejects, want %d", rows, r.Manifest.Read-expected.Valid)
			}
			t.Logf("read %d of %d bytes in %d requests", r.Manifest.BytesRead, r.Info.Bytes, r.Manifest.Reads)
			if r.Manifest.BytesRead == 0 || 2*r.Manifest.BytesRead > r.Info.Bytes {
				t.Errorf("read %d of %d bytes for one column", r.Manifest.BytesRead, r.Info.Bytes)
			}

			c.Hurt(nil)
			changed := generatedInBucket(w, 20_000, 0.1)
			r = w.Done(w.Run(e))
			if l := w.List("In a bucket"); l.Digest != changed.Digest || r.Manifest.Snapshot == "" {
				t.Errorf("the second run left %d members, want %d (snapshot %q)", l.Size, changed.Valid, r.Manifest.Snapshot)
			}
		})
	}
}

// generatedInBucket generates a segment and publishes it.
func generatedInBucket(w *world.World, rows int64, churn float64) generate.Expected {
	w.T.Helper()
	out, expected := generatedAside(w, rows, churn)
	w.Publish(out)
	return expected
}

// generatedAside generates a segment in a folder of its own.
func generatedAside(w *world.World, rows int64, churn float64) (string, generate.Expected) {
	w.T.Helper()
	out := filepath.Join(w.T.TempDir(), "segments")
	expected, err := generate.Segment(w.T.Context(), generate.Options{Rows: rows, Out: out, Files: 2, Bad: 0.1, Seed: 7, Churn: churn})
	if err != nil {
		w.T.Fatal(err)
	}
	return out, expected
}

// TestASegmentReplacedInMidRead has a file of the segment replaced while it is
// read: the run waits, and starts over on retry.
func TestASegmentReplacedInMidRead(t *testing.T) {
	t.Parallel()
	c := emulators.S3(t)
	w := world.New(t, sandbox.Config{}, false)
	w.InBucket(c)
	w.StartHost()
	generatedInBucket(w, 20_000, 0)
	out, next := generatedAside(w, 20_000, 0.1)
	var reads atomic.Int64
	c.Hurt(func(r *http.Request) emulators.Harm {
		// Inspecting takes two reads of each file, head and footer, which staging has no
		// more use for; the fifth is the first of a column.
		if emulators.IsRead(r) && strings.Contains(r.URL.Path, "/lake/") && reads.Add(1) == 5 {
			c.Hurt(nil)
			w.Publish(out)
		}
		return emulators.Unharmed
	})
	v := w.Run(w.Export("Replaced", "EmailAddress"))
	if waiting := w.Waiting(v); waiting.Type != schemas.ErrorSegmentChanged {
		t.Fatalf("waits for %s: %s", waiting.Type, waiting.Message)
	}
	w.Done(w.Answer(v, schemas.UpdateRetry))
	if l := w.List("Replaced"); l.Digest != next.Digest {
		t.Errorf("the list has %d members and another digest than expected (%d)", l.Size, next.Valid)
	}
}
