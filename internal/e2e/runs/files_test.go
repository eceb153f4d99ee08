package runs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"iterable-segment-export/internal/e2e/world"
	"iterable-segment-export/internal/sandbox"
	"iterable-segment-export/schemas"
)

// vector is a deletion vector in Delta's base 85, of the row 1: a magic number, and a
// bitmap in Roaring's format.
const vector = "^Bg9^0rr910000000000iXQKl0rr91000005c8Xg0rr91"

// TestDeletedProfilesLeaveTheList runs an export of a Delta table before and after a
// file was removed and a row deleted, both of which are still in the table's folder.
func TestDeletedProfilesLeaveTheList(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	e := w.Export("Members", "email")
	e.Segments[0].Source = filepath.Join(w.Sources, "members")
	if err := os.MkdirAll(filepath.Join(e.Segments[0].Source, "_delta_log"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, people ...string) map[string]any {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "email", Type: world.TextColumn}}, nil))
		b.Field(0).(*array.StringBuilder).AppendValues(people, nil)
		var file bytes.Buffer
		out, err := pqarrow.NewFileWriter(b.Schema(), &file, parquet.NewWriterProperties(), pqarrow.DefaultWriterProps())
		if err == nil {
			err = out.Write(b.NewRecord())
		}
		if err == nil {
			err = out.Close()
		}
		size := file.Len()
		if err == nil {
			err = os.WriteFile(filepath.Join(e.Segments[0].Source, name), file.Bytes(), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"path": name, "partitionValues": map[string]string{}, "size": size, "modificationTime": 1, "dataChange": true}
	}
	version := 0
	commit := func(actions ...map[string]any) {
		var lines bytes.Buffer
		for _, a := range actions {
			if err := json.NewEncoder(&lines).Encode(a); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(e.Segments[0].Source, "_delta_log", fmt.Sprintf("%020d.json", version)), lines.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		version++
	}
	run := func(people ...string) {
		t.Helper()
		v := w.Run(e)
		r := w.Done(v)
		if got := w.Members("Members"); !slices.Equal(got, people) || r.Info.Rows != int64(len(people)) {
			t.Errorf("the list has %q and not %q; %d rows", got, people, r.Info.Rows)
		}
		if want := (schemas.TableVersion{Format: "Delta", Version: int64(version - 1)}); r.Info.Table == nil || *r.Info.Table != want {
			t.Errorf("the table is %+v and not %+v", r.Info.Table, want)
		}
		page, err := w.Service().Report(t.Context(), v.Run)
		if said := fmt.Sprintf("Delta table, version %d", version-1); err != nil || !bytes.Contains(page, []byte(said)) {
			t.Errorf("the report does not say %q: %v", said, err)
		}
	}

	kept := write("kept.parquet", world.Persons(1, 20)...)
	commit(
		map[string]any{"protocol": map[string]any{"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": []string{"deletionVectors"}, "writerFeatures": []string{"deletionVectors"}}},
		map[string]any{"metaData": map[string]any{
			"id": "members", "format": map[string]any{"provider": "parquet", "options": map[string]string{}}, "partitionColumns": []string{}, "configuration": map[string]string{},
			"schemaString": `{"type":"struct","fields":[{"name":"email","type":"string","nullable":true,"metadata":{}}]}`,
		}},
		map[string]any{"add": kept}, map[string]any{"add": write("removed.parquet", world.Persons(21, 23)...)},
	)
	run(world.Persons(1, 23)...)

	commit(map[string]any{"remove": map[string]any{"path": "removed.parquet", "dataChange": true}})
	kept["deletionVector"] = map[string]any{"storageType": "i", "pathOrInlineDv": vector, "sizeInBytes": 34, "cardinality": 1}
	commit(map[string]any{"remove": map[string]any{"path": "kept.parquet", "dataChange": true}}, map[string]any{"add": kept})
	run(slices.Concat(world.Persons(1, 1), world.Persons(3, 20))...)
}

// TestValuesThatCantBeSent has dates that are none in an optional field.
func TestValuesThatCantBeSent(t *testing.T) {
	t.Parallel()
	w := world.New(t, sandbox.Config{}, true)
	w.Table("Logins", []arrow.Field{{Name: "email", Type: world.TextColumn}, {Name: "last_login", Type: world.TextColumn, Nullable: true}},
		`[{"email":"p001@example.com","last_login":"2026-11-25"},{"email":"p002@example.com","last_login":"0000-00-00"},
		{"email":"p003@example.com","last_login":"2026-11-25"},{"email":"p004@example.com","last_login":null}]`)
	e := w.Of("Logins")
	e.Fields.List = []schemas.Field{{Column: "last_login", Type: "date"}}
	v := w.Run(e)
	r := w.Done(v)
	if got := w.Members("Logins"); !slices.Equal(got, world.Persons(1, 4)) {
		t.Errorf("the list has %q", got)
	}
	if l := r.Manifest.LeftOut; len(l) != 1 || l[0].Column != "last_login" || l[0].Count != 1 || l[0].Reason == "" || len(r.Rejected) > 0 {
		t.Fatalf("left out: %+v, rejected: %v", l, r.Rejected)
	}
	said := "column last_login: 1 values were left out, because each " + r.Manifest.LeftOut[0].Reason
	page, err := w.Service().Report(t.Context(), v.Run)
	if err != nil || !strings.Contains(html.UnescapeString(string(page)), said) || !slices.Contains(r.Warnings, said) {
		t.Errorf("neither %q nor the report say %q: %v", r.Warnings, said, err)
	}
	strict := w.Of("Logins")
	strict.Name, strict.Segments[0].Name = "Strict", "Strict"
	strict.Fields, strict.OnInvalid, strict.Guardrails.MaxRejectedShare = e.Fields, schemas.InvalidReject, world.Share(1)
	r = w.Done(w.Run(strict))
	if got := w.Members("Strict"); !slices.Equal(got, []string{world.Person(1), world.Person(3), world.Person(4)}) || r.Rejected[schemas.ReasonInvalidValue] != 1 {
		t.Errorf("the list has %q, rejected: %v", got, r.Rejected)
	}
	if rows := w.ReadRejects(r); len(rows) != 1 || rows[0].Reason != schemas.ReasonInvalidValue || rows[0].Column != "last_login" {
		t.Errorf("rejects: %+v", rows)
	}
	e.Guardrails.MaxLeftOutShare = world.Share(0)
	w.WaitsWith(w.Run(e), schemas.ErrorGuardrail, "last_login", "maxLeftOutShare")
}
