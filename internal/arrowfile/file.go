package arrowfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/endian"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	flatbuffers "github.com/google/flatbuffers/go"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// magic is what an Arrow IPC file begins and ends with.
var magic = []byte("ARROW1")

// Open reads what describes an Arrow IPC file, or a stream if it is one; head
// are the first bytes.
func Open(src *columnar.Source, head []byte) (*File, error) {
	if bytes.HasPrefix(head, magic) {
		return openFile(src)
	}
	return openStream(src)
}

// Is reports whether a file that begins with head is an Arrow file or stream.
func Is(head []byte) bool {
	return bytes.HasPrefix(head, magic) || len(head) >= 8 && looksLikeStream(head)
}

// File is an Arrow IPC file or stream. Arrow reads a record batch as a whole,
// all columns of it, and trusts the offsets in it. Here the batches' buffers are
// read in slices, only those of mapped columns, and checked on the way; Arrow's
// part is to understand the schema.
type File struct {
	stored []arrow.Field // the columns as the file has them
	tops   []arrow.Field // and as they are loaded
	ids    []fieldIDs    // by top-level column
	hash   [sha256.Size]byte
	length int64 // of the footer
	known  int64 // rows, -1 for a stream
	stream bool
	start  int64   // of a stream's first message after the schema
	dicts  []block // of a file
	blocks []block
}

// block says where a message lies.
type block struct {
	offset, body int64
	prefix       int64 // length of what comes before the body
}

var errIPC = errors.New("the file is damaged: it does not follow the Arrow format; write it again")

const (
	ipcContinuation = 0xFFFFFFFF
	// maxMessage bounds, in bytes, the description of one record batch.
	maxMessage = 64 << 20
)

func looksLikeStream(head []byte) bool {
	first := binary.LittleEndian.Uint32(head)
	if first == ipcContinuation {
		n := binary.LittleEndian.Uint32(head[4:])
		return n > 0 && n <= maxMessage
	}
	// Before Arrow 0.15 a stream began with the length of the schema, and the
	// schema with the offset of its table.
	second := binary.LittleEndian.Uint32(head[4:])
	return first >= 16 && first <= maxMessage && first%8 == 4 && second >= 4 && second <= 64 && second%2 == 0
}

// readMessage reads the message at an offset. At the end of a stream, or where the
// data ends cleanly, it is io.EOF.
func readMessage(src *columnar.Source, at int64) (fb message, b block, err error) {
	var head [8]byte
	size := src.Size()
	if at == size {
		return fb, b, io.EOF
	}
	if at < 0 || at > size-4 {
		return fb, b, errIPCTruncated
	}
	n := min(8, size-at)
	if err := src.ReadFull(head[:n], at); err != nil {
		return fb, b, err
	}
	b = block{offset: at, prefix: 4}
	length := int64(binary.LittleEndian.Uint32(head[:4]))
	if length == ipcContinuation {
		if n < 8 {
			return fb, b, errIPCTruncated
		}
		b.prefix, length = 8, int64(binary.LittleEndian.Uint32(head[4:]))
	}
	if length == 0 {
		return fb, b, io.EOF
	}
	b.prefix += length
	if length > maxMessage || length < 8 || at+b.prefix > size {
		return fb, b, errIPCTruncated
	}
	data := make([]byte, length)
	if err := src.ReadFull(data, at+b.prefix-length); err != nil {
		return fb, b, err
	}
	if fb, err = parseMessage(data); err != nil {
		return fb, b, err
	}
	b.body = fb.bodyLength
	if b.body < 0 || b.body > size-at-b.prefix {
		return fb, b, errIPCTruncated
	}
	return fb, b, nil
}

var errIPCTruncated = errors.New("the file is cut off or damaged: a part of it claims to be longer than the rest of the file; wait until it is complete, or write it again")

// setSchema takes in a schema; raw is a message with it, as Arrow reads it.
func (f *File) setSchema(schema flatbuffers.Table, raw []byte) (err error) {
	if f.ids, err = schemaIDs(schema); err != nil {
		return err
	}
	r, err := ipc.NewReader(bytes.NewReader(raw), ipc.WithEnsureNativeEndian(false))
	if err != nil {
		return fmt.Errorf("its columns can't be read: %w; write the file again, or with other types", err)
	}
	defer r.Release()
	if r.Schema().NumFields() != len(f.ids) {
		return errIPC
	}
	if r.Schema().Endianness() != endian.LittleEndian {
		return errors.New("the file was written with the most significant byte first, which this program does not read; write it again on an ordinary machine")
	}
	f.stored = marked(r.Schema().Fields())
	for _, c := range f.stored {
		f.tops = append(f.tops, arrow.Field{Name: c.Name, Type: loaded(c.Type), Nullable: c.Nullable})
	}
	return nil
}

// readSchema reads the schema message that a stream begins with, and returns
// where the next message begins.
func (f *File) readSchema(src *columnar.Source) (int64, error) {
	msg, b, err := readMessage(src, 0)
	if err == io.EOF {
		return 0, errIPCTruncated
	}
	if err != nil {
		return 0, err
	}
	if msg.kind != messageSchema {
		return 0, errIPC
	}
	raw := make([]byte, b.prefix)
	if err := src.ReadFull(raw, 0); err != nil {
		return 0, err
	}
	return b.prefix + b.body, f.setSchema(msg.header, raw)
}

func openStream(src *columnar.Source) (*File, error) {
	f := &File{stream: true, known: -1}
	var err error
	if f.start, err = f.readSchema(src); err != nil {
		return nil, err
	}
	f.hash, err = hashEnds(src)
	return f, err
}

// hashEnds hashes the ends of a stream, which has no footer.
func hashEnds(src *columnar.Source) (hash [sha256.Size]byte, err error) {
	const ends = 4 << 10
	sum := sha256.New()
	size := src.Size()
	buf := make([]byte, min(size, ends))
	for _, at := range []int64{0, size - int64(len(buf))} {
		if err := src.ReadFull(buf, at); err != nil {
			return hash, err
		}
		sum.Write(buf)
	}
	sum.Sum(hash[:0])
	return hash, nil
}

// fileHead is the length of "ARROW1" and two bytes of padding.
const fileHead = 8

// readFooter reads a file's footer, which its length and "ARROW1" follow.
func readFooter(src *columnar.Source) ([]byte, error) {
	const tailLen = 10
	size := src.Size()
	if size < fileHead+tailLen {
		return nil, errIPCTruncated
	}
	var tail [tailLen]byte
	if err := src.ReadFull(tail[:], size-tailLen); err != nil {
		return nil, err
	}
	if !bytes.Equal(tail[4:], magic) {
		return nil, errors.New("the file begins as an Arrow file and does not end as one: it is cut off, or still being written; wait until it is complete, or write it again")
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	body := size - tailLen - length
	if length < 8 || length > columnar.MaxFooter || body < fileHead {
		return nil, fmt.Errorf("the file is damaged: its footer claims %d bytes, and the file has %d; write it again", length, size)
	}
	footer := make([]byte, length)
	return footer, src.ReadFull(footer, body)
}

func openFile(src *columnar.Source) (*File, error) {
	f := &File{}
	footer, err := readFooter(src)
	if err != nil {
		return nil, err
	}
	f.hash, f.length = sha256.Sum256(footer), int64(len(footer))
	// The schema also stands at the file's beginning, but not in files of Arrow for
	// JavaScript.
	schema, ok := tableAt(root(footer), 1)
	if !ok {
		return nil, errIPC
	}
	if err := f.setSchema(schema, schemaMessage(footer, schema)); err != nil {
		return nil, err
	}
	if f.dicts, f.blocks, err = parseFooter(footer); err != nil {
		return nil, err
	}
	for _, b := range f.blocks {
		msg, _, err := readMessage(src, b.offset)
		if err != nil {
			return nil, noEOF(err)
		}
		batch, err := msg.batch(messageRecord)
		if err != nil {
			return nil, err
		}
		if f.known += batch.rows; f.known < 0 {
			return nil, errIPC
		}
	}
	if err := columnar.CheckCount(f.known, src.Size()); err != nil {
		return nil, err
	}
	return f, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return errIPCTruncated
	}
	return err
}

// Fields implements columnar.File.
func (f *File) Fields() []arrow.Field { return f.tops }

// Footer implements columnar.File.
func (f *File) Footer() ([sha256.Size]byte, int64) { return f.hash, f.length }

// Hash implements columnar.File.
func (f *File) Hash(src *columnar.Source) (hash [sha256.Size]byte, err error) {
	if f.stream {
		return hashEnds(src)
	}
	footer, err := readFooter(src)
	return sha256.Sum256(footer), err
}

// Rows implements columnar.File.
func (f *File) Rows() int64 { return f.known }

// RowGroups counts the record batches of a file; a stream counts as one.
func (f *File) RowGroups() int {
	if f.stream {
		return 1
	}
	return len(f.blocks)
}

// Check implements columnar.File.
func (f *File) Check(paths [][]int) error {
	for _, path := range paths {
		if path == nil {
			continue
		}
		field := columnar.FieldAt(f.stored, path)
		if err := canLoad(field.Type, 0); err != nil {
			return columnar.ColumnError(schemas.ErrorColumn, columnar.PathName(f.tops, path), "%w; leave the column out of the mapping, or write it with another type", err)
		}
	}
	return nil
}
