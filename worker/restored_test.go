package main

import (
	"path/filepath"
	"strings"
	"testing"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
)

// TestARestoreIsDeclared declares two restores, which differ.
func TestARestoreIsDeclared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	t.Setenv("DATA_ROOT", dir)
	root, err := storage.OpenRoot(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ids := map[string]bool{}
	for range 2 {
		var out strings.Builder
		if err := declareRestore(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), dir) {
			t.Errorf("the answer does not name the data root: %s", out.String())
		}
		var r dataroot.Restore
		if found, err := root.ReadJSON(t.Context(), dataroot.RestoreKey, &r); !found || err != nil || r.ID == "" || r.At.IsZero() {
			t.Fatalf("the record is %+v, %v, %v", r, found, err)
		}
		ids[r.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("two restores have the IDs %v", ids)
	}
}

// TestARestoreNeedsADataRoot names the variable that is wrong.
func TestARestoreNeedsADataRoot(t *testing.T) {
	t.Setenv("DATA_ROOT", "ftp://nowhere")
	if err := declareRestore(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "DATA_ROOT") {
		t.Errorf("the error is %v", err)
	}
}
