package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"iterable-segment-export/internal/emulators"
)

// TestClouds runs the tests of this file against every emulator.
func TestClouds(t *testing.T) {
	for cloud, start := range emulators.All() {
		t.Run(cloud, func(t *testing.T) {
			c := start(t)
			for name, test := range map[string]func(cloudTest){
				"reach": testReach, "root": testRoot, "list": testList, "replaced": testReplaced, "trouble": testTrouble,
				"denied": testDenied, "survey": testSurvey, "plan": testPlan, "closed": testClosed, "unlisted": testUnlisted, "new": testNew, "update": testUpdate, "conditions": testConditions,
			} {
				t.Run(name, func(t *testing.T) {
					defer c.Hurt(nil)
					r, err := OpenRoot(t.Context(), c.At("tenant/"+name))
					if err != nil {
						t.Fatal(err)
					}
					defer r.Close()
					test(cloudTest{T: t, cloud: c, root: r, at: func(path string) string { return c.At("tenant/" + name + "/" + path) }})
				})
			}
		})
	}
}

// cloudTest is an emulator with a root at its own prefix in the bucket.
type cloudTest struct {
	*testing.T
	cloud *emulators.Cloud
	root  *Root
	at    func(path string) string // the URL of a file of the root
}

// content returns bytes that depend on their offset.
func content(size int) []byte {
	out := make([]byte, size)
	r := rand.New(rand.NewPCG(1, uint64(size)))
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func (t cloudTest) put(key string, data []byte) {
	t.Helper()
	if err := t.root.Write(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}
}

func testNew(t cloudTest) { onlyTheFirstIsPublished(t.T, t.root) }

func testReach(t cloudTest) {
	if err := t.root.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	missing, err := OpenRoot(t.Context(), strings.Replace(t.cloud.URL, "://", "://no-", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer missing.Close()
	if err := missing.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "://no-") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a bucket that is not there: %v", err)
	}
}

func testRoot(t cloudTest) {
	r := t.root
	ctx := t.Context()
	if _, err := r.Read(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of what is not there: %v", err)
	}
	if _, err := r.Open(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of what is not there: %v", err)
	}
	big := content(20 << 20) // more than one part of an upload
	t.put("a/b", []byte("old"))
	t.put("a/b", big)
	t.put("a/c", []byte("c"))
	t.put("ab/d", nil)
	f, err := r.Open(ctx, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("read %d of %d bytes, %v", len(got), len(big), err)
	}
	abandoned, err := r.Create(ctx, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := abandoned.Write(content(17 << 20)); err != nil {
		t.Fatal(err)
	}
	abandoned.Abort()
	if list, err := r.List(ctx, "a"); err != nil || names(list) != "a/b a/c" || list[0].Size != int64(len(big)) {
		t.Errorf("after a write that was given up: %v, %v", list, err)
	}
	if err := r.DeletePrefix(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if list, err := r.List(ctx, ""); err != nil || names(list) != "ab/d" {
		t.Errorf("left: %s, %v", names(list), err)
	}
}

func testList(t cloudTest) {
	for _, key := range []string{
		"segments/year=2026/month=1/a.parquet", "segments/year=2026/month=2/b.parquet", "segments/year=2025/c.parquet",
		"segments/_SUCCESS", "segments/_temporary/d.parquet", "segments/year=2026/.e.crc", "segments/High value (ä, 50 off).parquet",
		"segments-secret/s.parquet", "segments.parquet",
	} {
		t.put(key, []byte(key))
	}
	t.put("segments/year=2024", nil) // marks a folder
	t.put("segments/year=2024/z.parquet", []byte("z"))
	for source, want := range map[string]string{
		"segments":                                "High value (ä, 50 off).parquet year=2024/z.parquet year=2025/c.parquet year=2026/month=1/a.parquet year=2026/month=2/b.parquet",
		"segments/":                               "High value (ä, 50 off).parquet year=2024/z.parquet year=2025/c.parquet year=2026/month=1/a.parquet year=2026/month=2/b.parquet",
		"segments/year=2026/**/*.parquet":         "month=1/a.parquet month=2/b.parquet",
		"segments/year=*/month=2":                 "year=2026/month=2/b.parquet",
		"segments/year=202[5]/*":                  "year=2025/c.parquet",
		"segments.parquet":                        "segments.parquet",
		"segments/High%20value*":                  "High value (ä, 50 off).parquet",
		"segments/High value (ä, 50 off).parquet": "High value (ä, 50 off).parquet",
		"segments/year=2026/month=1/a.parquet":    "a.parquet",
	} {
		got, err := List(t.Context(), t.at(source))
		if err != nil || names(got) != want {
			t.Errorf("%s: %s, %v; want %s", source, names(got), err, want)
		}
		for _, o := range got {
			f, err := OpenSource(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size())); err != nil || len(data) == 0 || int64(len(data)) != o.Size {
				t.Errorf("%s: %q, %v", o.URL, data, err)
			}
			f.Close()
		}
	}
	for _, source := range []string{"segments/nothing", "segments/*.arrow", "segment", "segments/year=2026/month"} {
		if got, err := List(t.Context(), t.at(source)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, %v", source, got, err)
		}
	}
}

// source lists the one file of a source.
func (t cloudTest) source(key string) Object {
	t.Helper()
	list, err := List(t.Context(), t.at(key))
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	return list[0]
}

func testReplaced(t cloudTest) {
	data := content(2 << 20)
	t.put("x.parquet", data)
	o := t.source("x.parquet")
	f, err := OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 1000)
	if _, err := f.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	if err := CheckUnchanged(t.Context(), o); err != nil {
		t.Errorf("unchanged: %v", err)
	}
	slices.Reverse(data) // of the same size
	t.put("x.parquet", data)
	if _, err := f.ReadAt(p, 1<<20); !errors.Is(err, ErrChanged) {
		t.Errorf("read after it was replaced: %v", err)
	}
	if err := CheckUnchanged(t.Context(), o); !errors.Is(err, ErrChanged) {
		t.Errorf("replaced: %v", err)
	}
	if err := t.root.DeletePrefix(t.Context(), "x.parquet"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(p, 1500<<10); !errors.Is(err, ErrChanged) {
		t.Errorf("read after it was deleted: %v", err)
	}
	if err := CheckUnchanged(t.Context(), o); !errors.Is(err, ErrChanged) {
		t.Errorf("deleted: %v", err)
	}
}

func testTrouble(t cloudTest) {
	data := content(3 << 20)
	t.put("x.parquet", data)
	o := t.source("x.parquet")
	var reads atomic.Int64
	t.cloud.Hurt(func(r *http.Request) emulators.Harm {
		if !emulators.IsRead(r) {
			return emulators.Unharmed
		}
		switch reads.Add(1) {
		case 1:
			return emulators.Truncate
		case 2:
			return emulators.Refuse
		}
		return emulators.Unharmed
	})
	f, err := OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read %d of %d bytes, %v", len(got), len(data), err)
	}
	if reads.Load() < 3 {
		t.Error("nothing was harmed")
	}
}

func testPlan(t cloudTest) {
	data := content(32 << 20)
	t.put("x.parquet", data)
	f, err := OpenSource(t.Context(), t.source("x.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	t.cloud.Traffic()
	// Four columns: two small ones beside each other, two large ones.
	plan := []Range{{4 << 20, 4<<20 + 1000}, {4<<20 + 2000, 4<<20 + 3000}, {5 << 20, 17 << 20}, {20 << 20, 30 << 20}}
	f.(Planner).Plan(plan)
	var want int64
	for _, r := range plan {
		want += r.End - r.Start
		p := make([]byte, 10_000)
		for off := r.Start; off < r.End; {
			n := min(int64(len(p)), r.End-off)
			if _, err := f.ReadAt(p[:n], off); err != nil || !bytes.Equal(p[:n], data[off:off+n]) {
				t.Fatalf("at %d: %v", off, err)
			}
			off += n
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	requests, got := t.cloud.Traffic()
	if got > want+mostGap || requests > 8 {
		t.Errorf("%d bytes in %d requests, for %d bytes in %d ranges", got, requests, want, len(plan))
	}
	// The emulator counts a response when it is complete, or when it notices that the
	// client has closed the connection.
	traffic := f.(Metered).Traffic()
	for end := time.Now().Add(10 * time.Second); traffic != (Traffic{got, requests}) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		r, b := t.cloud.Traffic()
		requests, got = requests+r, got+b
	}
	if traffic != (Traffic{got, requests}) {
		t.Errorf("counted %+v, were %d bytes in %d requests", traffic, got, requests)
	}
}

func testClosed(t cloudTest) {
	t.put("x.parquet", content(1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	f, err := OpenSource(ctx, t.source("x.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	t.cloud.Hurt(func(*http.Request) emulators.Harm { cancel(); return emulators.Refuse })
	if _, err := f.ReadAt(make([]byte, 10), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("read after the context's end: %v", err)
	}
	f.Close()
}

// testUnlisted: a policy that allows to list only below a prefix leaves the folders above it untold.
func testUnlisted(t cloudTest) {
	t.put("vip/x.parquet", content(100))
	t.cloud.Hurt(func(r *http.Request) emulators.Harm {
		if prefix := r.URL.Query().Get("prefix"); prefix != "" && !strings.HasPrefix(prefix, "tenant/unlisted/") {
			return emulators.Forbid
		}
		return emulators.Unharmed
	})
	bucket, _, _ := strings.Cut(t.cloud.URL, "?")
	want := []string{strings.TrimSuffix(bucket, "/") + "/tenant", strings.TrimSuffix(bucket, "/") + "/"}
	if closed, err := FindTable(t.Context(), t.at("vip")); err != nil || !slices.Equal(closed, want) {
		t.Errorf("%q, %v; want %q", closed, err, want)
	}
}

func testDenied(t cloudTest) {
	t.put("x.parquet", content(100))
	o := t.source("x.parquet")
	t.cloud.Hurt(func(*http.Request) emulators.Harm { return emulators.Forbid })
	f, err := OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = f.ReadAt(make([]byte, 10), 0)
	_, listed := List(t.Context(), t.at("x.parquet"))
	for what, err := range map[string]error{"read": err, "list": listed} {
		if err == nil || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "Authorization") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !errors.Is(listed, fs.ErrPermission) {
		t.Errorf("list: %v", listed)
	}
}
