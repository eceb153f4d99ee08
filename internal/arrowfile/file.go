package arrowfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"iterable-segment-export/internal/columnar"
)

// magic starts and ends an Arrow IPC file.
const magic = "ARROW1"

var (
	errIPC       = errors.New("the file is damaged: it does not follow the Arrow format; write it again")
	errTruncated = errors.New("the file is cut off or damaged: a part of it claims to be longer than the rest of the file; wait until it is complete, or write it again")
)

// File is an Arrow IPC file or stream.
type File struct {
	columnar.Description // RowGroups counts the record batches; a stream counts as one
	columns              []*node
	stream               bool
	start                int64   // of a stream's first message after the schema
	dicts                []int64 // offsets of a file's messages
	blocks               []int64
}

// Is reports whether a file that begins with head is an Arrow file or stream.
func Is(head []byte) bool {
	if isFile := bytes.HasPrefix(head, []byte(magic)); isFile || len(head) < 8 {
		return isFile
	}
	first, second := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])
	if first == continuation {
		return second > 0 && second <= maxMessage
	}
	// Before Arrow 0.15 a stream began with the length of the schema, and the
	// schema with the offset of its table.
	return first >= 16 && first <= maxMessage && first%8 == 4 && second >= 4 && second <= 64 && second%2 == 0
}

// Open reads the metadata of an Arrow IPC file or stream that begins with head.
func Open(src *columnar.Source, head []byte) (f *File, err error) {
	f = &File{stream: !bytes.HasPrefix(head, []byte(magic))}
	if f.stream {
		return f, f.openStream(src)
	}
	return f, f.openFile(src)
}

func (f *File) openStream(src *columnar.Source) error {
	msg, err := readMessage(src, 0)
	if err != nil {
		return noEOF(err)
	}
	if msg.kind != messageSchema {
		return errIPC
	}
	f.Rows, f.RowGroups, f.start = -1, 1, msg.body+msg.size
	if f.Footer, err = hashEnds(src); err != nil {
		return err
	}
	return f.setSchema(msg.header)
}

func (f *File) setSchema(schema table) (err error) {
	f.columns, err = schemaNodes(schema)
	for _, c := range f.columns {
		f.Fields = append(f.Fields, c.field())
	}
	return err
}

func (f *File) openFile(src *columnar.Source) error {
	footer, _, err := src.Footer("Arrow", magic)
	if err != nil {
		return err
	}
	f.Footer, f.FooterSize = sha256.Sum256(footer), int64(len(footer))
	// The schema is also at the beginning of the file, but not in files of Arrow for
	// JavaScript.
	t := root(footer)
	schema, ok := t.table(1)
	if !ok {
		return errIPC
	}
	if err := f.setSchema(schema); err != nil {
		return err
	}
	for field, out := range map[int]*[]int64{2: &f.dicts, 3: &f.blocks} {
		at, n, err := t.vector(field, 24)
		if err != nil {
			return err
		}
		for i := range n {
			*out = append(*out, t.GetInt64(at(i)))
		}
	}
	f.RowGroups = len(f.blocks)
	for _, at := range f.blocks {
		msg, err := readMessage(src, at)
		if err != nil {
			return noEOF(err)
		}
		batch, err := msg.batch()
		if err != nil {
			return err
		}
		if f.Rows += batch.rows; f.Rows < 0 {
			return errIPC
		}
	}
	return columnar.CheckCount(f.Rows, src.Size())
}

func noEOF(err error) error {
	if err == io.EOF {
		return errTruncated
	}
	return err
}

// hashEnds returns the hash of a stream's beginning and end, since it has no footer.
func hashEnds(src *columnar.Source) (hash [sha256.Size]byte, err error) {
	const ends = 4 << 10
	n := min(src.Size(), ends)
	buf := make([]byte, 2*n)
	if err = src.ReadFull(buf[:n], 0); err == nil {
		err = src.ReadFull(buf[n:], src.Size()-n)
	}
	return sha256.Sum256(buf), err
}

// Hash implements columnar.File.
func (f *File) Hash(src *columnar.Source) (hash [sha256.Size]byte, err error) {
	if f.stream {
		return hashEnds(src)
	}
	footer, _, err := src.Footer("Arrow", magic)
	return sha256.Sum256(footer), err
}

// node follows a path to a column.
func (f *File) node(path []int) *node {
	n := f.columns[path[0]]
	for _, i := range path[1:] {
		n = n.kids[i]
	}
	return n
}

// Check implements columnar.File. Buffers are checked with each batch.
func (f *File) Check([][]int) error { return nil }
