package lists

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"iterable-segment-export/internal/arrowfile/arrowtest"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// TestTheRulesOfHashes: hashes that were kept before a change of readEntries must not be used
// after it.
func TestTheRulesOfHashes(t *testing.T) {
	list := filepath.Join(t.TempDir(), "never.arrow")
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "Mail", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "Id", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	rows := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer rows.Release()
	for _, row := range [][2]string{
		{" Ann@Example.COM ", "U1"}, {"eve@b\u00fccher.example", " u2"}, {"\"quoted\"@example.com", ""}, {"not an address", "\u00fc"}, {"j\u00f6rg@example.com", ""}, {"a@stra\u00dfe.example", ""},
	} {
		for i, value := range row {
			if value == "" {
				rows.Field(i).AppendNull()
			} else {
				rows.Field(i).(*array.StringBuilder).Append(value)
			}
		}
	}
	arrowtest.Write(t, list, rows.NewRecord())
	c := schemas.Suppression{Name: "Never", Source: list, Email: "Mail", UserID: "Id"}
	found, err := inspect(t.Context(), schemas.Connection{Name: "c"}, c)
	if err != nil {
		t.Fatal(err)
	}
	set, kept := new(suppression.Set), suppression.Kept{}
	if err := readEntries(t.Context(), found.Segment, c, set, &kept); err != nil {
		t.Fatal(err)
	}
	set.Seal()
	var file bytes.Buffer
	if err := set.Write(&file, kept); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file.Bytes())
	if got, want := hex.EncodeToString(sum[:8]), "04c6a5365407e37c"; got != want {
		t.Errorf("the same list makes other hashes: %s instead of %s; raise hashRules, and then change this", got, want)
	}
}

// records is a log handler that calls a function with each message.
type records struct {
	slog.Handler
	call func(message string)
}

func (r records) Enabled(context.Context, slog.Level) bool { return true }
func (r records) Handle(_ context.Context, m slog.Record) error {
	r.call(m.Message)
	return nil
}

// TestRecentListsAreNotKept: a list that changed shortly before it was listed may change again in
// the same moment, however long it takes to read the lists before it.
func TestRecentListsAreNotKept(t *testing.T) {
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	list := filepath.Join(t.TempDir(), "never.arrow")
	rows := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "Mail", Type: arrow.BinaryTypes.String}}, nil))
	defer rows.Release()
	rows.Field(0).(*array.StringBuilder).Append("ann@example.com")
	arrowtest.Write(t, list, rows.NewRecord())
	c := schemas.Connection{Name: "c", Suppress: []schemas.Suppression{{Name: "One", Source: list, Email: "Mail"}, {Name: "Two", Source: list, Email: "Mail"}}}
	// That the kept hashes are damaged is noticed after the lists were listed.
	if err := root.Write(t.Context(), dataroot.SuppressionKey("c", "One"), nil); err != nil {
		t.Fatal(err)
	}
	later := time.Duration(0)
	r := Reader{Cache: new(Cache), Root: root, Now: func() time.Time { return time.Now().Add(later) }, Log: slog.New(records{slog.DiscardHandler, func(message string) {
		if strings.HasPrefix(message, "kept hashes") {
			later = time.Hour
		}
	}})}
	if _, _, _, err := r.Read(t.Context(), c); err != nil || later == 0 {
		t.Fatal(later, err)
	}
	if _, err := root.Read(t.Context(), dataroot.SuppressionKey("c", "Two")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a list that has just been written is kept: %v", err)
	}
	r.Cache = new(Cache)
	if _, _, _, err := r.Read(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Read(t.Context(), dataroot.SuppressionKey("c", "Two")); err != nil {
		t.Errorf("an older list is not kept: %v", err)
	}

	// One that has changed while it was read is not kept.
	l, err := inspect(t.Context(), c, c.Suppress[0])
	if err != nil {
		t.Fatal(err)
	}
	l.looked, l.of = r.Now(), "as it was before"
	if err := root.DeletePrefix(t.Context(), dataroot.SuppressionDir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.readAndKeep(t.Context(), c, l); err != nil {
		t.Fatal(err)
	}
	if kept, err := root.List(t.Context(), dataroot.SuppressionDir); err != nil || len(kept) > 0 {
		t.Errorf("kept: %v, %v", kept, err)
	}
}
