package suppression

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/zeebo/xxh3"
)

// A kept list is a line of JSON, a Kept, the hashes in ascending order, and a checksum of both in
// 8 bytes. It is not an Arrow file like a snapshot, since it is one column that is read as a
// whole: nothing has to be found in it, and Arrow's reader trusts offsets.

// Kept describes a list whose hashes are kept, so that it need not be read again until its source
// changes.
type Kept struct {
	// Of identifies the source, and how it was read.
	Of string `json:"of"`
	// Entries is how many entries the source has, and Unreadable how many of them are no address.
	Entries    int64 `json:"entries"`
	Unreadable int64 `json:"unreadable,omitempty"`
	// Hashes is how many different ones follow; Write sets it.
	Hashes int `json:"hashes"`
}

// ErrDamaged is the error of a kept list that can't be used.
var ErrDamaged = errors.New("the kept hashes of a suppression list are damaged")

const (
	// longestHead bounds the line of JSON, in bytes.
	longestHead = 64 << 10
	ioBuffer    = 1 << 20
)

// Write writes a sealed set.
func (s *Set) Write(w io.Writer, k Kept) error {
	k.Hashes = s.Len()
	head, err := json.Marshal(k)
	if err != nil {
		return err
	}
	sum := xxh3.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), ioBuffer)
	_, _ = out.Write(append(head, '\n'))
	for _, block := range s.blocks {
		for i := range block {
			if _, err := out.Write(block[i][:]); err != nil {
				return err
			}
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = w.Write(binary.LittleEndian.AppendUint64(nil, sum.Sum64()))
	return err
}

// readHead reads the first line and returns its length.
func readHead(r io.ReaderAt, size int64) (k Kept, length int64, err error) {
	buf := make([]byte, min(size, longestHead))
	if n, err := r.ReadAt(buf, 0); n < len(buf) {
		return k, 0, err
	}
	end := bytes.IndexByte(buf, '\n')
	if end < 0 || json.Unmarshal(buf[:end], &k) != nil {
		return Kept{}, 0, ErrDamaged
	}
	length = int64(end) + 1
	if k.Hashes < 0 || k.Hashes > maxPeople || size != length+int64(k.Hashes)*int64(len(Hash{}))+8 {
		return Kept{}, 0, ErrDamaged
	}
	return k, length, nil
}

// Read reads a kept list of a source. The set is sealed; it is nil if the file is of another
// source. The error is ErrDamaged if the file is not what was written.
func Read(r io.ReaderAt, size int64, of string) (*Set, Kept, error) {
	k, length, err := readHead(r, size)
	if err != nil || k.Of != of {
		return nil, k, err
	}
	s, err := readHashes(r, size, length, k.Hashes)
	return s, k, err
}

// readHashes reads the hashes after the first line.
func readHashes(r io.ReaderAt, size, length int64, n int) (*Set, error) {
	sum := xxh3.New()
	in := io.TeeReader(io.NewSectionReader(r, 0, size-8), sum)
	if _, err := io.CopyN(io.Discard, in, length); err != nil {
		return nil, fmt.Errorf("read the kept hashes: %w", err)
	}
	s := &Set{n: n}
	if n > 0 {
		s.grow()
	}
	var block []Hash // of the hash before
	var last Hash
	buf := make([]byte, min(n*len(Hash{}), ioBuffer))
	for left := n; left > 0; {
		part := buf[:min(left*len(Hash{}), len(buf))]
		if _, err := io.ReadFull(in, part); err != nil {
			return nil, fmt.Errorf("read the kept hashes: %w", err)
		}
		for at := 0; at < len(part); at += len(Hash{}) {
			h := Hash(part[at:])
			if (left < n || at > 0) && h.Compare(last) <= 0 {
				return nil, ErrDamaged
			}
			if h.block() != last.block() {
				s.blocks[last.block()] = slices.Clone(block) // just as large as it has to be
				block = block[:0]
			}
			block, last = append(block, h), h
		}
		left -= len(part) / len(Hash{})
	}
	if n > 0 {
		s.blocks[last.block()] = slices.Clone(block)
	}
	var want [8]byte
	if _, err := r.ReadAt(want[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the kept hashes: %w", err)
	}
	if sum.Sum64() != binary.LittleEndian.Uint64(want[:]) {
		return nil, ErrDamaged
	}
	s.Seal()
	return s, nil
}

// Merge moves the hashes of another set to this one, which has to be sealed again unless it was
// empty.
func (s *Set) Merge(o *Set) error {
	if s.n+o.n > maxPeople {
		return ErrTooMany
	}
	if s.n == 0 {
		*s, *o = *o, Set{}
		return nil
	}
	for b := range o.blocks {
		if s.blocks[b] == nil {
			s.blocks[b] = o.blocks[b]
		} else {
			s.blocks[b] = append(s.blocks[b], o.blocks[b]...)
		}
		o.blocks[b] = nil
	}
	s.n, s.filter = s.n+o.n, nil
	o.n, o.filter = 0, nil
	return nil
}
