package segment

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/schemas"
)

// TestCases reads small inputs of real writers that lie beside the repository, where
// they do.
func TestCases(t *testing.T) {
	cases := filepath.Join("..", "..", "..", "shared", "cases")
	if _, err := os.Stat(cases); err != nil {
		t.Skip("there are no ../shared/cases beside the repository")
	}
	left := map[string]bool{}
	for _, pattern := range []string{"*", "apache/*", "delta-rs/*"} {
		found, err := filepath.Glob(filepath.Join(cases, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			name, err := filepath.Rel(cases, f)
			if err != nil {
				t.Fatal(err)
			}
			left[filepath.ToSlash(name)] = true
		}
	}
	for _, other := range []string{"README.md", "apache", "delta-rs", "apache/int96_from_spark.parquet", "apache/byte_stream_split_extended.gzip.parquet"} {
		delete(left, other) // the last two have no column for an address: internal/interop reads them
	}
	for _, c := range []struct {
		source string
		want   Columns
		rows   int
		has    string // of all rows; empty names a refusal in word
		word   string
	}{
		{"polars-string-view-zstd.arrow", Columns{Email: "Email"}, 4, "Email=a@example.com ", ""},
		{"polars-lz4raw.parquet", Columns{Email: "Email"}, 4, "Email=B@Example.com ", ""},
		{"duckdb-lz4raw-v2pages.parquet", Columns{Email: "Email"}, 100, "Email=User1@example.com ", ""},
		{"duckdb-byte-stream-split.parquet", fieldsOf("Email", "F"), 100, "Email=User3@example.com F=4.5 ", ""},
		{"arrow-js-file.arrow", fieldsOf("Email", "n"), 56, "n=55 ", ""},
		{"enum-json-plain-bytes.parquet", fieldsOf("Email", "plan"), 2, "plan=SILVER ", ""},
		{"duckdb-uuid-nested.parquet", fieldsOf("Email", "Id"), 100, "Id=bbb3e08c-6790-4776-b060-30925c4f03d0 ", ""},
		{"delta-removed-file", Columns{Email: "Email"}, 2, "Email=b@example.com ", ""},
		{"iceberg-layout", Columns{Email: "Email"}, 0, "", "Iceberg"},
		{"iceberg-layout/data", Columns{Email: "Email"}, 0, "", "Iceberg"},
		{"hive-country", fieldsOf("Email", "country"), 100, "country=SE ", ""},
		{"apache/unknown-logical-type.parquet", Columns{Email: "column with unknown type"}, 3, "dW5rbm93biBzdHJpbmcgMw==", ""},
		{"apache/lz4_raw_compressed.parquet", Columns{UserID: "c0"}, 4, "c0=1593604801 ", ""},
		{"apache/hadoop_lz4_compressed.parquet", Columns{UserID: "c0"}, 4, "c0=1593604801 ", ""},
		{"apache/non_hadoop_lz4_compressed.parquet", Columns{UserID: "c0"}, 4, "c0=1593604801 ", ""},
		{"apache/repeated_no_annotation.parquet", fieldsOf("id", "phoneNumbers"), 6, `{"phone":[{"kind":null,"number":5555555555}]}`, ""},
		{"apache/geospatial-with-nan.parquet", Columns{Email: "group"}, 3, "with-nan", ""},
		{"delta-rs/simple_table_with_checkpoint", Columns{UserID: "version"}, 11, "version=9 ", ""},
		{"delta-rs/delta-0.8.0-partitioned", fieldsOf("value", "year", "day"), 7, "value=4 year=2021 day=5 ", ""},
		{"delta-rs/delta-0.8.0-special-partition", fieldsOf("x", "y"), 2, "x=A/A y=1 ", ""},
		{"delta-rs/table-with-dv-small", Columns{UserID: "value"}, 8, "value=8 ", ""},
		{"delta-rs/table_with_column_mapping", fieldsOf("Super Name", "Company Very Short"), 5, "Super Name=Timothy Lamb Company Very Short=BME ", ""},
		{"delta-rs/checkpoint-v2-table", fieldsOf("id", "name"), 44, "id=33 name=Mallory ", ""},
		{"delta-rs/table_with_edge_timestamps", fieldsOf("SOME_VALUE", "BIG_DATE"), 2, "BIG_DATE=9999-12-31 00:00:00Z ", ""},
	} {
		delete(left, c.source)
		source := filepath.Join(cases, filepath.FromSlash(c.source))
		if c.word != "" {
			_, err := Inspect(t.Context(), source, c.want)
			wantError(t, err, schemas.ErrorSegmentUnreadable, c.word)
			continue
		}
		got := rows(t, inspect(t, source, c.want), Options{})
		if all := strings.Join(got, "|"); len(got) != c.rows || !strings.Contains(all, c.has) {
			t.Errorf("%s: %d rows, %.300s", c.source, len(got), all)
		}
	}
	if len(left) > 0 {
		t.Errorf("no test reads %v", slices.Sorted(maps.Keys(left)))
	}
}

// fieldsOf maps columns, the first as the user ID.
func fieldsOf(id string, fields ...string) Columns {
	c := Columns{UserID: id}
	for _, f := range fields {
		c.Fields.List = append(c.Fields.List, schemas.Field{Column: f})
	}
	return c
}
