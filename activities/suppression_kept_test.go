package activities

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/internal/suppression/lists"
	"iterable-segment-export/schemas"
)

// TestHashesOfSuppressionListsAreKept until the source changes, and read again when the kept ones
// are damaged or can't be opened.
func TestHashesOfSuppressionListsAreKept(t *testing.T) {
	var list string
	rows := []identity{{"ann@example.com", ""}, {"bob@example.com", ""}, {"eve@example.com", ""}}
	b, m, err := stageSuppressed(t, schemas.ModeMirror, schemas.ProjectEmail, nil, rows, func(folder string) []schemas.Suppression {
		list = filepath.Join(folder, "never.arrow")
		writeIdentities(t, list, []identity{{"ann@example.com", ""}, {"no address", ""}, {"ANN@example.com", ""}})
		return []schemas.Suppression{{Name: "Complaints", Source: folder, Email: "Mail"}, {Name: "More", Source: folder, Email: "Mail", UserID: "Id"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{dataroot.SuppressionKey("sandbox", "Complaints"), dataroot.SuppressionKey("sandbox", "More")}
	kept := func() [][]byte {
		t.Helper()
		var all [][]byte
		for _, key := range keys {
			data, err := os.ReadFile(filepath.Join(b.dir, filepath.FromSlash(key)))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("example")) {
				t.Error("the kept list has an address")
			}
			all = append(all, data)
		}
		return all
	}
	again := func(suppressed int64) {
		t.Helper()
		b.lists = lists.Cache{} // as in another worker
		again, err := b.stageInput(b.input)
		if err != nil || again.Suppressed != suppressed || len(again.SuppressionLists) != 2 {
			t.Errorf("suppressed %d, want %d; %+v, %v", again.Suppressed, suppressed, again.SuppressionLists, err)
		}
		if m = again; len(m.Warnings) == 0 || m.SuppressionLists[0].Unreadable != 1 || m.SuppressionLists[0].Entries < 3 {
			t.Errorf("%+v, %q", m.SuppressionLists, m.Warnings)
		}
	}
	if _, err := os.Stat(filepath.Join(b.dir, filepath.FromSlash(keys[0]))); err == nil {
		t.Error("a list is kept that has just been written, and may be written again at the same time")
	}
	b.Now = func() time.Time { return time.Now().Add(time.Hour) }
	again(1)
	first := kept()

	// The kept hashes are what counts: here are those of another person, of the same source.
	other := new(suppression.Set)
	if err := other.Add(suppression.Address([]byte("bob@example.com"))); err != nil {
		t.Fatal(err)
	}
	other.Seal()
	_, k, err := suppression.Read(bytes.NewReader(first[0]), int64(len(first[0])), "")
	if err != nil || k.Entries != 3 || k.Unreadable != 1 || k.Hashes != 2 {
		t.Fatalf("%+v, %v", k, err)
	}
	var file bytes.Buffer
	if err := other.Write(&file, k); err != nil {
		t.Fatal(err)
	}
	if err := b.Root.Write(t.Context(), keys[0], file.Bytes()); err != nil {
		t.Fatal(err)
	}
	again(2) // Ann is on the other list too
	for _, damaged := range [][]byte{first[0][:len(first[0])-1], append(bytes.Clone(first[0][:len(first[0])-1]), 0), nil, []byte("age-encryption.org/v1\nof a key that is lost")} {
		if err := b.Root.Write(t.Context(), keys[0], damaged); err != nil {
			t.Fatal(err)
		}
		again(1)
		if !bytes.Equal(kept()[0], first[0]) {
			t.Error("the damaged list is not replaced")
		}
	}

	writeIdentities(t, list, []identity{{"ann@example.com", ""}, {"no address", ""}, {"bob@example.com", ""}})
	again(2)
	if bytes.Equal(kept()[0], first[0]) {
		t.Error("the hashes of the source before are kept")
	}
}
