package interop

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/parquet-go/parquet-go"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/parquetfile"
)

// damaged are the files that can't be read, and a word of the reason.
var damaged = map[string]string{
	"negative_page_size.parquet":          "negative size",
	"negative_row_group_num_rows.parquet": "row group 0",
	"num_values_exceeds_data.parquet":     "its pages have 7732",
}

// misread is a file whose pages parquet-go v0.32.0 does not tell apart; its last value
// is that of Apache's own tests.
const misread, lastOfMisread = "lz4_raw_compressed_larger.parquet", "85440778-460a-41ac-aa2e-ac3ee41696bf"

// TestCorpus reads every Parquet file that the module of parquet-go carries, most of
// them Apache's, as that module reads it: each leaf has the same values.
func TestCorpus(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/parquet-go/parquet-go").Output()
	if err != nil {
		t.Skipf("the module is not there: %v", err)
	}
	files := 0
	err = filepath.WalkDir(strings.TrimSpace(string(dir)), func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".parquet" {
			return err
		}
		files++
		t.Run(filepath.Base(path), func(t *testing.T) { sameLeaves(t, path) })
		return nil
	})
	if err != nil || files < 50 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestCases reads the cases beside the repository, where they are, that have no column
// for an address; internal/segment reads the others.
func TestCases(t *testing.T) {
	read := func(name string) []*leaf {
		f, err := os.Open(filepath.Join("..", "..", "..", "shared", "cases", "apache", name))
		if errors.Is(err, os.ErrNotExist) {
			t.Skip("there are no ../shared/cases beside the repository")
		}
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		leaves, err := leavesRead(columnar.NewSource(t.Context(), fileInFolder{f, info.Size()}))
		if err != nil {
			t.Fatal(err)
		}
		return leaves
	}
	// The last is of the year 290000, which wrapped as Spark wrote it; like all that is
	// too far away it stays so.
	if values := strings.Join(read("int96_from_spark.parquet")[0].values, " "); values != "1704141296123456 1704070800000000 253402225200000000 1735599600000000 -9213868054909551616" {
		t.Errorf("the microseconds are %s", values)
	}
	got := read("byte_stream_split_extended.gzip.parquet")
	for i := 0; i < len(got); i += 2 { // each type in PLAIN, and split
		if len(got[i].values) != 200 || !slices.Equal(got[i].values, got[i+1].values) {
			t.Errorf("%s is not %s", got[i].name, got[i+1].name)
		}
	}
}

// fileInFolder is a storage.File.
type fileInFolder struct {
	*os.File
	size int64
}

func (f fileInFolder) Size() int64 { return f.size }

func sameLeaves(t *testing.T, path string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	got, err := leavesRead(columnar.NewSource(t.Context(), fileInFolder{f, info.Size()}))
	name := filepath.Base(path)
	if word, ok := damaged[name]; ok {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v, without %q", err, word)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if name == misread {
		if last := got[0].values[9999]; last != lastOfMisread {
			t.Errorf("the last value is %s", last)
		}
		return
	}
	theirs, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatalf("parquet-go: %v", err)
	}
	var want [][]string
	for c := range theirs.Schema().Columns() {
		leaf, err := theirValues(theirs, c, got[c].dt)
		if err != nil {
			t.Errorf("%s: parquet-go: %v", got[c].name, err)
		}
		want = append(want, leaf)
	}
	if len(got) != len(want) {
		t.Fatalf("%d leaves, not %d", len(got), len(want))
	}
	for i := range got {
		for k := range max(len(got[i].values), len(want[i])) {
			if k >= len(got[i].values) || k >= len(want[i]) || got[i].values[k] != want[i][k] {
				t.Errorf("%s (%s): %d values and not %d, the first other one, number %d:\n got %.200s\nwant %.200s", got[i].name, got[i].dt, len(got[i].values), len(want[i]), k, got[i].values[min(k, len(got[i].values)):], want[i][min(k, len(want[i])):])
				break
			}
		}
	}
}

// leaf is the values of a column that are not null.
type leaf struct {
	name   string
	dt     arrow.DataType
	values []string
}

func leavesRead(src *columnar.Source) (out []*leaf, err error) {
	defer columnar.Guard(&err)
	f, err := parquetfile.Open(src, false)
	if err != nil {
		return nil, err
	}
	paths := make([][]int, len(f.Fields))
	for i := range paths {
		if paths[i] = []int{i}; columnar.Supported(f.Fields[i].Type) != nil {
			return nil, columnar.Supported(f.Fields[i].Type)
		}
		out = append(out, leavesOf(f.Fields[i].Name, f.Fields[i].Type)...)
	}
	if err := f.Check(paths); err != nil {
		return nil, err
	}
	b, err := f.Open(src, paths, columnar.Options{BatchRows: 1000})
	if err != nil {
		return nil, err
	}
	defer b.Close()
	for rows := int64(0); ; {
		columns, n, err := b.Next()
		if err == io.EOF {
			if rows != f.Rows {
				err = fmt.Errorf("%d rows and not %d", rows, f.Rows)
			} else {
				err = nil
			}
			return out, err
		}
		if err != nil {
			return nil, err
		}
		rows += int64(n)
		rest := out
		for _, c := range columns {
			rest = gather(c, rest)
		}
	}
}

func leavesOf(name string, dt arrow.DataType) (out []*leaf) {
	switch dt := dt.(type) {
	case *arrow.StructType:
		for _, f := range dt.Fields() {
			out = append(out, leavesOf(name+"."+f.Name, f.Type)...)
		}
		return out
	case arrow.ListLikeType:
		return leavesOf(name, dt.Elem())
	}
	return []*leaf{{name: name, dt: dt}}
}

// gather appends the values of an array to its leaves, and returns those after them.
func gather(arr arrow.Array, leaves []*leaf) []*leaf {
	switch a := arr.(type) {
	case *array.Struct:
		for i := range a.NumField() {
			leaves = gather(a.Field(i), leaves)
		}
		return leaves
	case array.ListLike:
		return gather(a.ListValues(), leaves)
	}
	for i := range arr.Len() {
		if arr.IsNull(i) || arr.DataType().ID() == arrow.NULL {
			continue
		}
		leaves[0].values = append(leaves[0].values, ourValue(arr, i))
	}
	return leaves[1:]
}

func ourValue(arr arrow.Array, i int) string {
	switch a := arr.(type) {
	case *array.Decimal128:
		return a.Value(i).BigInt().String()
	case *array.Decimal256:
		return a.Value(i).BigInt().String()
	case *array.Timestamp:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.Date32:
		return fmt.Sprint(int32(a.Value(i)))
	case *array.Time32:
		return fmt.Sprint(int32(a.Value(i)))
	case *array.Time64:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.String:
		return a.Value(i)
	case *array.Binary:
		return string(a.Value(i))
	case *array.FixedSizeBinary:
		return string(a.Value(i))
	}
	return fmt.Sprint(arr.GetOneForMarshal(i))
}

// theirValues are a leaf's values that are not null, as parquet-go reads them.
func theirValues(f *parquet.File, column int, dt arrow.DataType) (out []string, err error) {
	for _, g := range f.RowGroups() {
		pages := g.ColumnChunks()[column].Pages()
		defer pages.Close()
		for {
			p, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return out, err
			}
			values := make([]parquet.Value, p.NumValues())
			n, err := p.Values().ReadValues(values)
			if err != nil && err != io.EOF {
				return out, err
			}
			for _, v := range values[:n] {
				if !v.IsNull() {
					out = append(out, theirValue(v, dt))
				}
			}
		}
	}
	return out, nil
}

func theirValue(v parquet.Value, dt arrow.DataType) string {
	number := func(p []byte) string {
		n := new(big.Int).SetBytes(p)
		if len(p) > 0 && p[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(p))))
		}
		return n.String()
	}
	switch v.Kind() {
	case parquet.Int96:
		i := v.Int96()
		const perDay = 24 * 60 * 60 * 1_000_000
		return fmt.Sprint((int64(i[2])-2440588)*perDay + (int64(i[1])<<32|int64(i[0]))/1000)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		if _, ok := dt.(arrow.DecimalType); ok {
			return number(v.ByteArray())
		}
		return string(v.ByteArray())
	case parquet.Int32:
		if dt.ID() == arrow.UINT32 {
			return fmt.Sprint(v.Uint32())
		}
		return fmt.Sprint(v.Int32())
	case parquet.Int64:
		if dt.ID() == arrow.UINT64 {
			return fmt.Sprint(v.Uint64())
		}
		return fmt.Sprint(v.Int64())
	case parquet.Float:
		return fmt.Sprint(v.Float())
	case parquet.Double:
		return fmt.Sprint(v.Double())
	}
	return fmt.Sprint(v.Boolean())
}
