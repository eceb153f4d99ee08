package limits

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/iterable/api"
)

// Five workers want to make many requests to an endpoint that allows three a second.
func TestWorkersStayWithinADocumentedLimit(t *testing.T) {
	dir := t.TempDir()
	var shares []*Share
	for range 5 {
		s, _ := newShare(t, dir)
		shares = append(shares, s)
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		var all sync.WaitGroup
		for i, s := range shares {
			all.Go(func() {
				time.Sleep(time.Duration(i)) // the names of temporary files are made from the time
				for range 8 {
					if err := s.waitDocumented(t.Context(), "project", api.GetFields); err != nil {
						t.Error(err)
					}
					mu.Lock()
					at = append(at, time.Now())
					mu.Unlock()
				}
			})
		}
		all.Wait()
		for i := 3; i < len(at); i++ {
			if at[i].Sub(at[i-3]) < time.Second {
				t.Errorf("four requests within %s", at[i].Sub(at[i-3]))
			}
		}
		synctest.Wait() // files are deleted after the requests
		files, err := shares[0].root.List(t.Context(), dataroot.TurnsDir(ownProject("project")))
		if err != nil || len(files) > kept+2 {
			t.Errorf("%d files are left: %v", len(files), err)
		}
	})
}

// A request does not wait until the files of past slots are deleted, nor does it fail if they
// can't be. Only one request at a time deletes them.
func TestARequestDoesNotWaitForPastTurns(t *testing.T) {
	s, _ := newShare(t, t.TempDir())
	dir := path.Join(dataroot.TurnsDir(ownProject("project")), api.GetFields.Name)
	for i := range 5 {
		if err := s.root.WriteNew(t.Context(), path.Join(dir, fmt.Sprintf("%020d", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		reserved := make(chan struct{})
		var deleted []string
		s.root.Around = func(_ context.Context, key string, check, do func() error) error {
			if strings.HasPrefix(path.Base(key), "000000000000000000") { // of a past slot
				<-reserved
				if deleted = append(deleted, key); len(deleted) == 3 {
					return errors.New("the store does not answer")
				}
			}
			return do()
		}
		for range 3 {
			if err := s.waitDocumented(t.Context(), "project", api.GetFields); err != nil {
				t.Fatal(err)
			}
		}
		close(reserved)
		synctest.Wait()
		if len(deleted) != 3 {
			t.Errorf("%d files deleted, want one after the other up to the failure", len(deleted))
		}
		if err := s.waitDocumented(t.Context(), "project", api.GetFields); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if files, err := s.root.List(t.Context(), dir); err != nil || len(files) != 4 {
			t.Errorf("%d files, want those of the 4 requests: %v", len(files), err)
		}
	})
}

// Only one of many concurrent workers gets the turn.
func TestOneWorkerTakesATurn(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	var may atomic.Int32
	for range 5 {
		s, _ := newShare(t, dir)
		all.Go(func() {
			if taken, _, err := s.Documented(t.Context(), "project", api.ListSize); err == nil && !taken {
				may.Add(1)
			}
		})
	}
	all.Wait()
	if may.Load() > 2 { // the first and the second half of the test in two slots
		t.Errorf("%d of 5 workers may ask for a size", may.Load())
	}
}
