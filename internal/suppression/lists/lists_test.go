package lists

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

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
	write(t, list, rows.NewRecord())
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

func write(t *testing.T, file string, rec arrow.Record) {
	t.Helper()
	defer rec.Release()
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w, err := ipc.NewFileWriter(out, ipc.WithSchema(rec.Schema()))
	if err == nil {
		err = w.Write(rec)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}
