package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// tries is how often a floor is measured; the best counts, since nothing but the
// machine's noise makes one slower than another.
const tries = 3

// reading measures how long Arrow's own reader takes for columns of a segment, with
// nothing done with them: the least that a refresh can take.
func (l *lab) reading(ctx context.Context, dir string, columns []string) (seconds float64, err error) {
	for i := range tries {
		began := time.Now()
		if err := readColumns(ctx, dir, columns, nil); err != nil {
			return 0, err
		}
		if took := time.Since(began).Seconds(); i == 0 || took < seconds {
			seconds = took
		}
	}
	return seconds, nil
}

// readColumns reads columns of a folder's Parquet files, several columns at a time.
// see may be nil.
func readColumns(ctx context.Context, dir string, columns []string, see func(array.RecordReader) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := readFile(ctx, name, columns, see); err != nil {
			return err
		}
	}
	return nil
}

func readFile(ctx context.Context, name string, columns []string, see func(array.RecordReader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := file.NewParquetReader(f)
	if err != nil {
		return err
	}
	defer r.Close()
	arrowReader, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 64 << 10, Parallel: true}, memory.DefaultAllocator)
	if err != nil {
		return err
	}
	var indices []int
	for _, c := range columns {
		indices = append(indices, r.MetaData().Schema.ColumnIndexByName(c))
	}
	records, err := arrowReader.GetRecordReader(ctx, indices, nil)
	if err != nil {
		return err
	}
	defer records.Release()
	if see != nil {
		return see(records)
	}
	for records.Next() {
	}
	return ended(records)
}

// ended is what reading ended with; Arrow's Parquet reader calls the end an error.
func ended(records array.RecordReader) error {
	if err := records.Err(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
