package segment

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/storage"
)

// TestManyFilesAreOpenedSideBySide: in a bucket each footer needs one or two requests, and
// thousands of them in sequence would need many minutes. The first requests are held until
// there are several.
func TestManyFilesAreOpenedSideBySide(t *testing.T) {
	const files, together = 40, 8
	cloud := emulators.S3(t)
	root, err := storage.OpenRoot(t.Context(), cloud.At("many"))
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	local := filepath.Join(t.TempDir(), "one.parquet")
	writeParquet(t, local, 100, []arrow.Record{profiles(t, 0, 10)})
	data, err := os.ReadFile(local)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := root.Write(t.Context(), fmt.Sprintf("part-%03d.parquet", i), bytes.Clone(data)); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	waiting, enough := 0, make(chan struct{})
	cloud.Hurt(func(r *http.Request) emulators.Harm {
		if !emulators.IsRead(r) {
			return emulators.Unharmed
		}
		mu.Lock()
		if waiting++; waiting == together {
			close(enough)
		}
		mu.Unlock()
		select {
		case <-enough:
		case <-time.After(30 * time.Second):
		}
		return emulators.Unharmed
	})
	defer cloud.Hurt(nil)
	l, err := Locate(t.Context(), cloud.At("many"), Search{Version: Latest}, func(o storage.Object) (storage.Object, error) { return o, nil })
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	l.Progress = func(n int) {
		if n != last+1 {
			t.Errorf("file %d follows file %d", n, last)
		}
		last = n
	}
	s, err := l.Inspect(t.Context(), Columns{Email: "EmailAddress"})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-enough:
	default:
		t.Errorf("never were %d files asked for at the same time", together)
	}
	if s.Info().Files != files || s.Info().Rows != files*10 || last != files {
		t.Errorf("%+v after %d files", s.Info(), last)
	}
}
