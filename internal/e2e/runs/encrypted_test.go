package runs

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/operate"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// encrypt opens the data root anew, with these keys.
func encrypt(w *world.World, keys ...string) {
	w.T.Helper()
	w.OpenRoot()
	k, err := storage.ReadKeys(strings.Join(keys, ","), "")
	if err != nil {
		w.T.Fatal(err)
	}
	w.Root.Encrypt(k, dataroot.PeopleDirs...)
}

func dataKey(t *testing.T) string {
	t.Helper()
	key, err := storage.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestNobodyCanReadAnEncryptedDataRoot runs an export with a key, looks at every
// file while people are staged and after the end, goes on with another key and
// then with both.
func TestNobodyCanReadAnEncryptedDataRoot(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, false)
	first, second := dataKey(t), dataKey(t)
	const canary = "quetzalcanary"
	h := newHunt(canary)
	people := func(last int) {
		var further []string
		for i := range last {
			further = append(further, fmt.Sprintf("%s-%d@example.com", canary, i))
		}
		further = append(further, canary+"@nowhere", canary+" with spaces@example.com")
		w.People("Sealed", 1, 0, 1, further...)
	}
	look := func(when string, atLeast int) {
		t.Helper()
		files := files(w, w.DataRoot)
		encrypted := 0
		for name, data := range files {
			h.clean(t, when+": "+name, data)
			if strings.HasPrefix(string(data), "age-encryption.org/") {
				encrypted++
			}
		}
		if encrypted < atLeast {
			t.Errorf("%s: %d of %d files are encrypted, want at least %d", when, encrypted, len(files), atLeast)
		}
	}
	e := w.Of("Sealed")
	people(40)
	t.Run("with a key", func(t *testing.T) {
		w := w.In(t)
		encrypt(w, first)
		w.StartHost()
		v := w.Run(e) // 2 of 42 rows are rejected
		w.Done(v)
		look("after the first run", 3)
		people(20) // more vanish than may
		v = w.Run(e)
		w.WaitsWith(v, schemas.ErrorGuardrail)
		look("while people are staged", 6)
		r := w.Done(w.Answer(v, schemas.UpdateApprove))
		look("after the second run", 6)
		if r.Manifest.Removals != 20 || len(w.ReadRejects(r)) != 2 {
			t.Errorf("%+v", r)
		}
		s := w.Starter()
		s.Env = []string{"DATA_KEYS=" + first}
		s.Contains(s.Want(0, "rejects", v.Run.RunID), canary+"@nowhere")
		s.Contains(s.Want(0, "report", v.Run.RunID, "--out", "-"), "Export “Sealed”")
		s.Env = []string{"DATA_KEYS=" + second}
		s.Contains(s.Want(1, "rejects", v.Run.RunID), "does not open it", "DATA_KEYS", "rejects.parquet")
		s.Env = nil
		s.Contains(s.Want(1, "report", v.Run.RunID, "--out", "-"), "set DATA_KEYS", "report.html")
	})
	people(21)
	var waits operate.View
	t.Run("with another key", func(t *testing.T) {
		w := w.In(t)
		encrypt(w, second)
		w.StartHost()
		waits = w.Run(e)
		w.WaitsWith(waits, schemas.ErrorDataKey, "forgotten", "does not open it", "DATA_KEYS")
	})
	t.Run("with both", func(t *testing.T) {
		w := w.In(t)
		encrypt(w, second, first)
		w.StartHost()
		if r := w.Done(w.Answer(waits, schemas.UpdateRetry)); r.Manifest.Unchanged != 20 || r.Manifest.Adds != 1 || r.Manifest.Members != 20 {
			t.Errorf("the snapshot was lost: %+v", r.Manifest)
		}
		snapshots, err := filepath.Glob(filepath.Join(w.DataRoot, "snapshots/*/*/*"))
		if err != nil || len(snapshots) != 1 {
			t.Fatal(snapshots, err)
		}
		look("at the end", 9)
	})
	w.NothingIsLeft()
}
