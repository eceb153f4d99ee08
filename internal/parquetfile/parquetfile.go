// Package parquetfile reads Parquet files as record batches of some of their
// columns.
//
// It parses the footer and the pages, and Arrow's file.RecordReader decodes the values.
// Arrow v15's own reader (pqarrow) was tried and does not suffice. It panics on newer
// logical types, lacks LZ4_RAW and BYTE_STREAM_SPLIT, and wraps INT96 outside the years
// 1677 to 2262. It allocates the sizes that a header claims, and reads nested columns in
// goroutines where a panic can't be caught. Its RecordReader accepts any page reader, so
// it gets only pages that were checked and decompressed within bounds.
//
// parquet-go v0.32.0 was tried too. It decompresses a page without a bound: a gzip page that
// claims 34 bytes took 2.5 GB, and one of zstd ended the process. It makes room for as many
// entries as a dictionary claims. It returns fewer values than the footer claims without an
// error. It lacks the codec LZ4, and fails on LZ4_RAW files of DuckDB. Only its structs and its
// Thrift decoder are used.
//
// Of newer Arrows, v18.8.0 lacks LZ4 as well, refuses a column with one INT96 outside of the
// years 1677 to 2262, and panics on an unknown logical type. Pages of zstd have no bound there.
//
//	footer.go    the footer; thrift.go reads its structs
//	schema.go    the tree of columns; current and old forms of lists and maps
//	types.go     physical and logical types to Arrow's
//	convert.go   values that Arrow stores in another form
//	pages.go     the page reader; codec.go and delta.go are its parts
//	read.go      rows of a row group; nested.go structs, lists and maps
//	statistics.go  bounds of the values in a row group
package parquetfile

import (
	"crypto/sha256"
	"fmt"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// File is a Parquet file whose footer has been read.
type File struct {
	columnar.Description
	groups  []rowGroup
	body    int64 // offset of the footer
	columns []*node
	// statistics is nil unless the file was opened with its bounds.
	statistics *statisticsFooter
}

// Open reads the footer, with the bounds of the values if bounded is set.
func Open(src *columnar.Source, bounded bool) (*File, error) {
	f := &File{}
	data, body, err := readFooter(src)
	if err != nil {
		return nil, err
	}
	f.body, f.FooterSize, f.Footer = body, int64(len(data)), sha256.Sum256(data)
	var meta footer
	if _, err := unmarshal(data, &meta); err != nil {
		return nil, err
	}
	if bounded {
		f.statistics = &statisticsFooter{}
		if _, err := unmarshal(data, f.statistics); err != nil {
			return nil, err
		}
	}
	t := tree{schema: meta.Schema, types: newTypes(meta.KeyValue)}
	if f.columns, err = t.columns(); err != nil {
		return nil, err
	}
	f.groups, f.RowGroups = meta.Groups, len(meta.Groups)
	for _, c := range f.columns {
		f.Fields = append(f.Fields, c.field())
	}
	return f, f.checkRows(src.Size(), meta.Rows, t.leaf)
}

// checkRows compares the footer's counts of rows.
func (f *File) checkRows(size, claimed int64, leaves int) error {
	for i, g := range f.groups {
		if g.Rows < 0 || len(g.Chunks) != leaves {
			return fmt.Errorf("the file is damaged: row group %d does not fit the file's columns; write it again", i)
		}
		if f.Rows += g.Rows; f.Rows < 0 {
			break
		}
		for _, c := range g.Chunks {
			if g.Rows == 0 && c.Meta != nil && c.Meta.Values > 0 { // the count was not filled in
				return fmt.Errorf("the file is damaged: row group %d claims 0 rows and has values; write it again", i)
			}
		}
	}
	// Some writers claim 0 rows in total; then the row groups' counts are used.
	if claimed > f.Rows || claimed < 0 {
		return fmt.Errorf("the file is damaged: its footer claims %d rows, and its row groups have %d; write it again", claimed, f.Rows)
	}
	return columnar.CheckCount(f.Rows, size)
}

// Hash implements columnar.File.
func (f *File) Hash(src *columnar.Source) (hash [sha256.Size]byte, err error) {
	data, _, err := readFooter(src)
	return sha256.Sum256(data), err
}

// at follows a path to a column.
func (f *File) at(path []int) *node {
	n := f.columns[path[0]]
	for _, i := range path[1:] {
		n = n.children[i]
	}
	return n
}

// Check implements columnar.File.
func (f *File) Check(paths [][]int) error {
	for _, path := range paths {
		if path == nil {
			continue
		}
		for _, leaf := range f.at(path).leaves() {
			for g := range f.groups {
				if f.groups[g].Rows == 0 { // not read
					continue
				}
				if _, err := f.place(g, leaf); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// place returns the location of a leaf in a row group, or an error if it is not valid.
func (f *File) place(group int, leaf *node) (place, error) {
	c, rows := f.groups[group].Chunks[leaf.chunk], f.groups[group].Rows
	p := place{node: leaf, limit: f.body}
	switch {
	case c.Crypto != nil:
		return p, columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "%w", ErrEncrypted)
	case c.Path != "":
		return p, columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "the column is in another file, which this program does not read; write all columns into one file")
	case c.Meta == nil:
		return p, p.damaged("its footer lacks the location of the column")
	}
	p.chunkMeta = *c.Meta
	if p.start = p.Data; p.Dictionary > 0 && p.Dictionary < p.Data {
		p.start = p.Dictionary
	}
	p.end = p.start + p.Compressed
	switch {
	case p.start < int64(len(magic)) || p.Compressed < 0 || p.start > f.body || p.Compressed > f.body-p.start:
		return p, p.damaged("row group %d is outside of the file", group)
	case p.Values < rows, p.descr.MaxRepetitionLevel() == 0 && p.Values != rows:
		return p, p.damaged("row group %d has %d rows and claims %d values", group, rows, p.Values)
	}
	if err := checkCodec(p.Codec); err != nil {
		return p, columnar.ColumnError(schemas.ErrorSegmentUnreadable, p.name, "%w", err)
	}
	return p, nil
}
