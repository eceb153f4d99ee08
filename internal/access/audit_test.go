package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	_ "gocloud.dev/blob/memblob" // mem://
	"golang.org/x/sync/errgroup"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// gateAt returns a gate with a root of its own, as another process has it.
func gateAt(t *testing.T, where string) *Gate {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	g, err := New(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAuditTrail(t *testing.T) {
	g := gateAt(t, t.TempDir())
	if none, err := g.Trail(t.Context(), time.Time{}); err != nil || len(none) != 0 {
		t.Fatalf("an empty trail: %v, %v", none, err)
	}
	at := time.Date(2026, 2, 28, 23, 0, 0, 0, time.UTC)
	add := func(id string, e schemas.AuditEntry) {
		t.Helper()
		if err := g.Audit(t.Context(), id, e); err != nil {
			t.Fatal(err)
		}
	}
	ran := schemas.AuditEntry{At: at, Who: "ann", What: schemas.AuditRan, Export: "Spring", RunID: "r1"}
	add("run r1", ran)
	add("run r1", ran) // a retry of the activity
	add("", schemas.AuditEntry{At: at.Add(2 * time.Hour), Who: "bob", What: schemas.AuditApproved, Details: "10 of the 18 members"})
	add("", schemas.AuditEntry{At: at.Add(2 * time.Hour), Who: "bob", What: schemas.AuditSearched})
	late := ran
	late.At = at.Add(3 * time.Hour)
	add("run r1", late)                                                // a retry in another month
	add("", schemas.AuditEntry{Who: "eve", What: schemas.AuditPaused}) // now
	all, err := g.Trail(t.Context(), time.Time{})
	if err != nil || len(all) != 4 || all[0] != ran || all[1].What != schemas.AuditApproved || all[2].What != schemas.AuditSearched || all[3].Who != "eve" || all[3].At.IsZero() {
		t.Errorf("%+v, %v", all, err)
	}
	march, err := g.Trail(t.Context(), time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC))
	if err != nil || len(march) < 3 || march[0].Who != "bob" {
		t.Errorf("%+v, %v", march, err)
	}
	february, err := g.root.Read(t.Context(), "audit/2026-02.jsonl")
	if want := `{"id":"run r1","at":"2026-02-28T23:00:00Z","who":"ann","what":"ran","export":"Spring","runId":"r1"}` + "\n"; err != nil || string(february) != want {
		t.Errorf("the file of February is %s, %v", february, err)
	}
}

// TestAMonthWithManyEntriesHasSeveralFiles, so that an addition does not write more and more.
func TestAMonthWithManyEntriesHasSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	g := gateAt(t, dir)
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	add := func(g *Gate, id string) {
		t.Helper()
		e := schemas.AuditEntry{At: at, What: schemas.AuditRan, Details: strings.Repeat("x", mostAudit/2)}
		if err := g.Audit(t.Context(), id, e); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		add(g, fmt.Sprint(i))
	}
	add(gateAt(t, dir), "5") // of a process that has just started
	for i := range 6 {
		add(gateAt(t, dir), fmt.Sprint(i)) // reported again
	}
	for key, lines := range map[string]int{"audit/2026-02.jsonl": 2, "audit/2026-02.2.jsonl": 2, "audit/2026-02.3.jsonl": 2} {
		if data, err := g.root.Read(t.Context(), key); err != nil || strings.Count(string(data), "\n") != lines {
			t.Errorf("%s has %d bytes, %v", key, len(data), err)
		}
	}
	if all, err := g.Trail(t.Context(), at); err != nil || len(all) != 6 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

// TestNothingOfTheTrailIsLost when several processes add to it at the same time, each for several
// people: on a disk, and in buckets.
func TestNothingOfTheTrailIsLost(t *testing.T) {
	together := func(t *testing.T, where string) {
		const processes, each = 5, 4
		at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		var all errgroup.Group
		for p := range processes {
			g := gateAt(t, where)
			for i := range each {
				id := fmt.Sprintf("%d of %d", i, p)
				for range 2 { // an activity and its retry
					all.Go(func() error {
						return g.Audit(t.Context(), id, schemas.AuditEntry{At: at, Who: id, What: schemas.AuditRan})
					})
				}
			}
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		g := gateAt(t, where)
		got, err := g.Trail(t.Context(), at)
		who := map[string]bool{}
		for _, e := range got {
			who[e.Who] = true
		}
		if err != nil || len(got) != processes*each || len(who) != len(got) {
			t.Errorf("the trail has %d entries of %d people, %v", len(got), len(who), err)
		}
	}
	t.Run("disk", func(t *testing.T) { together(t, filepath.Join(t.TempDir(), "data")) })
	for cloud, start := range emulators.All() {
		t.Run(cloud, func(t *testing.T) { together(t, start(t).At("trail")) })
	}
}

// TestEntriesAreWrittenTogether: those of a process that wait while another one is written are written
// at once.
func TestEntriesAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(t, "mem://")
		const people = 50
		written := 0
		g.root.Around = func(_ context.Context, _ string, _, do func() error) error {
			if written++; written == 1 {
				time.Sleep(turnTime / 2) // the others wait for their turn
			}
			return do()
		}
		var group errgroup.Group
		for i := range people {
			group.Go(func() error {
				return g.Audit(t.Context(), "", schemas.AuditEntry{Who: fmt.Sprint(i), What: schemas.AuditRan})
			})
			if i == 0 {
				synctest.Wait() // until it is being written
			}
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got, err := g.Trail(t.Context(), time.Time{}); err != nil || len(got) != people || written != 2 {
			t.Errorf("%d entries in %d writes, %v", len(got), written, err)
		}
	})
}

// TestAWriterThatHangsDelaysTheOthersLittle.
func TestAWriterThatHangsDelaysTheOthersLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gateAt(t, "mem://")
		began := time.Now()
		g.root.Around = func(_ context.Context, _ string, _, do func() error) error {
			if time.Since(began) < turnTime {
				time.Sleep(time.Hour)
			}
			return do()
		}
		var group errgroup.Group
		group.Go(func() error { return g.Audit(t.Context(), "", schemas.AuditEntry{Who: "ann", What: schemas.AuditRan}) })
		synctest.Wait()
		for range 3 {
			if err := g.Audit(t.Context(), "", schemas.AuditEntry{Who: "bob", What: schemas.AuditRan}); err != nil {
				t.Fatal(err)
			}
		}
		if since := time.Since(began); since >= time.Hour {
			t.Errorf("the others took %s", since)
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got, err := g.Trail(t.Context(), time.Time{}); err != nil || len(got) != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestTheTrailGoesOnWhereNothingIsReplaced: a policy of the bucket forbids it, the file system has no locks,
// or a stopped process has the lock. Each entry gets a part of its own then.
func TestTheTrailGoesOnWhereNothingIsReplaced(t *testing.T) {
	const processes, each = 3, 4
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	check := func(t *testing.T, most int, open func() *Gate) {
		t.Helper()
		for p := range processes {
			g := open()
			for i := range each {
				id := fmt.Sprintf("%d of %d", i, p)
				if err := g.Audit(t.Context(), id, schemas.AuditEntry{At: at, Who: id, What: schemas.AuditRan}); err != nil {
					t.Fatalf("%s: %v", id, err)
				}
			}
		}
		g := open()
		var all errgroup.Group
		all.SetLimit(most)
		for i := range each {
			g := open()
			all.Go(func() error {
				return g.Audit(t.Context(), "", schemas.AuditEntry{At: at, Who: fmt.Sprint("together ", i), What: schemas.AuditRan})
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		const want = (processes + 1) * each
		got, err := g.Trail(t.Context(), at)
		files, _ := g.root.List(t.Context(), dataroot.AuditDir)
		if err != nil || len(got) != want || len(files) != want {
			t.Errorf("%d entries in %d files, %v", len(got), len(files), err)
		}
	}
	for cloud, start := range emulators.All() {
		t.Run(cloud, func(t *testing.T) {
			c := start(t)
			c.Hurt(func(r *http.Request) emulators.Harm {
				if r.Header.Get("If-Match") != "" || cmp.Or(r.URL.Query().Get("ifGenerationMatch"), "0") != "0" {
					return emulators.Forbid
				}
				return emulators.Unharmed
			})
			check(t, each, func() *Gate { return gateAt(t, c.At("trail")) })
		})
	}
	t.Run("no locks", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, ".lock"), 0o700); err != nil {
			t.Fatal(err)
		}
		check(t, each, func() *Gate { return gateAt(t, dir) })
	})
	t.Run("a stopped process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			f, err := os.Create(filepath.Join(dir, ".lock"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			// One at a time: the names of temporary files have the time, which stands still here.
			check(t, 1, func() *Gate { return gateAt(t, dir) })
		})
	})
}

// TestDamageOfTheTrailIsReported: lines that are torn or of something else, among the entries. They stay,
// and the next entry does not become a part of them.
func TestDamageOfTheTrailIsReported(t *testing.T) {
	g := gateAt(t, t.TempDir())
	at := time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC)
	add := func(id string, at time.Time) {
		t.Helper()
		if err := g.Audit(t.Context(), id, schemas.AuditEntry{At: at, Who: id, What: schemas.AuditRan}); err != nil {
			t.Fatal(err)
		}
	}
	add("ann", at)
	key := dataroot.AuditKey("2026-02", 1)
	damage := func(text string) string {
		t.Helper()
		data, err := g.root.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		damaged := string(data) + text
		if err := g.root.Write(t.Context(), key, []byte(damaged)); err != nil {
			t.Fatal(err)
		}
		return damaged
	}
	damage("quetzal@example.com\n{}\n")
	before := damage(`{"id":"bob","at":"2026-02-`)
	add("bob", at.Add(time.Hour))
	after, err := g.root.Read(t.Context(), key)
	if err != nil || !strings.HasPrefix(string(after), before+"\n") {
		t.Errorf("the file is %s, %v, after %s", after, err, before)
	}
	all, err := g.Trail(t.Context(), at)
	want := schemas.AuditEntry{At: at, What: schemas.AuditDamaged, Details: "3 of 5 lines of audit/2026-02.jsonl are not entries; the first is line 2"}
	if err != nil || len(all) != 3 || all[0] != want || all[1].Who != "ann" || all[2].Who != "bob" {
		t.Errorf("%+v, %v", all, err)
	}
	// Some of the lines may be of a later time than the entry before the first.
	if all, err = g.Trail(t.Context(), at.Add(time.Hour)); err != nil || len(all) != 2 || all[0] != want || all[1].Who != "bob" {
		t.Errorf("since then: %+v, %v", all, err)
	}
}

// TestAnEntryThatCanNotBeWrittenIsAnError, and another one does not write it later.
func TestAnEntryThatCanNotBeWrittenIsAnError(t *testing.T) {
	g := gateAt(t, "mem://")
	full := errors.New("no space left")
	g.root.Around = func(context.Context, string, func() error, func() error) error { return full }
	if err := g.Audit(t.Context(), "", schemas.AuditEntry{Who: "ann", What: schemas.AuditRan}); !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "no space") {
		t.Errorf("%v", err)
	}
	g.root.Around = nil
	if err := g.Audit(t.Context(), "", schemas.AuditEntry{Who: "bob", What: schemas.AuditRan}); err != nil {
		t.Fatal(err)
	}
	if all, err := g.Trail(t.Context(), time.Time{}); err != nil || len(all) != 1 || all[0].Who != "bob" {
		t.Errorf("%+v, %v", all, err)
	}
}
