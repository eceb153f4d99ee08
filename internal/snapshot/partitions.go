package snapshot

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// partitions hold a segment's rows in temporary files: all of them, in order, in
// one file, and the key of each in the file of its partition, which is the key's
// leading bits. The partitions are judged one after another, along with their
// part of the sorted snapshot; two bits for each row keep the verdicts until the
// rows are read again.
type partitions struct {
	files fileSet
	bits  uint
	parts []part
	log   spillFile
	rows  int64
	in    *bufio.Reader
	buf   []byte
}

type part struct {
	spillFile
	records int64
}

// recordSize is the size of a partition's record: key, fields, row.
const recordSize = 16 + 8 + 8

const (
	// settled stands for the row of somebody whose verdict is out.
	settled = ^uint64(0)
	// stays stands for the row of somebody who gets no verdict.
	stays = settled - 1
)

const (
	partBuffer = 32 << 10
	logBuffer  = 1 << 20
	logName    = "rows"
)

func partName(i int) string { return fmt.Sprintf("part-%04d", i) }

func newPartitions(files TempFiles, bits uint) (p *partitions, err error) {
	p = &partitions{
		files: newFileSet(files), bits: bits, parts: make([]part, 1<<bits),
		in: bufio.NewReaderSize(nil, logBuffer),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.log, err = p.files.spill(logName, logBuffer); err != nil {
		return p, err
	}
	for i := range p.parts {
		if p.parts[i].spillFile, err = p.files.spill(partName(i), partBuffer); err != nil {
			return p, err
		}
	}
	return p, nil
}

// know adds somebody whose verdict is out.
func (p *partitions) know(k Key) error { return p.record(k, 0, settled) }

// keep adds somebody who gets no verdict, and has not vanished.
func (p *partitions) keep(k Key) error { return p.record(k, 0, stays) }

func (p *partitions) record(k Key, fields, row uint64) error {
	hi, _ := k.halves()
	to := &p.parts[hi>>(64-p.bits)]
	to.records++
	var rec [recordSize]byte
	copy(rec[:], k[:])
	binary.LittleEndian.PutUint64(rec[16:], fields)
	binary.LittleEndian.PutUint64(rec[24:], row)
	_, err := to.w.Write(rec[:])
	return err
}

// add takes a row.
func (p *partitions) add(pr *Profile) error {
	if err := p.record(pr.Key, pr.Fields, uint64(p.rows)); err != nil {
		return err
	}
	p.rows++
	p.buf = appendProfile(p.buf[:0], pr)
	_, err := p.log.w.Write(p.buf)
	return err
}

// finish judges every row and emits it.
func (p *partitions) finish(ctx context.Context, d *Differ) error {
	verdicts := make([]uint8, (p.rows+3)/4)
	var members *cursor
	if d.snap != nil {
		members = d.snap.cursor(ctx)
		members.next()
	}
	if err := p.log.close(); err != nil {
		return err
	}
	for i := range p.parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.judge(i, members, d, verdicts); err != nil {
			return fmt.Errorf("compare partition %d of %d: %w", i, len(p.parts), err)
		}
	}
	if members != nil && members.err != nil {
		return members.err
	}
	return p.emit(ctx, d, verdicts)
}

// judge finds the verdicts of one partition. The cursor stands at its first
// member, and at the next partition's afterwards.
func (p *partitions) judge(i int, members *cursor, d *Differ, verdicts []uint8) error {
	from := &p.parts[i]
	if err := from.close(); err != nil {
		return err
	}
	x := newIndex(d.snapRows()>>p.bits*9/8, 0, p.bits)
	start := int64(0)
	if members != nil {
		for ; members.more(); members.next() {
			if hi, _ := members.member.Key.halves(); hi>>(64-p.bits) != uint64(i) {
				break
			}
			if len(x.members) == 0 {
				start = members.row
			}
			x.load(&members.member)
		}
		if members.err != nil {
			return members.err
		}
	}
	n := int64(len(x.members))
	x.seen, x.others = newBitmap(n), newKeySet(expectOthers(n, from.records))
	x.seal()
	r, err := p.files.files.Open(partName(i))
	if err != nil {
		return err
	}
	defer r.Close()
	p.in.Reset(r)
	keep := func(member int) { d.keep(start + int64(member)) }
	if err := judgeRecords(p.in, from.records, x, verdicts, keep); err != nil {
		return err
	}
	for m := range n {
		if x.seen.has(m) {
			d.seen.set(start + m)
		}
	}
	return p.files.remove(partName(i))
}

func judgeRecords(r io.Reader, records int64, x *index, verdicts []uint8, keep func(member int)) error {
	var rec [recordSize]byte
	for range records {
		if _, err := io.ReadFull(r, rec[:]); err != nil {
			return short(err)
		}
		k := Key(rec[:16])
		row := binary.LittleEndian.Uint64(rec[24:])
		if row == stays {
			if i := x.find(k.halves()); i >= 0 {
				keep(i)
			}
			continue
		}
		v := x.mark(&k, binary.LittleEndian.Uint64(rec[16:]))
		if row != settled {
			verdicts[row/4] |= uint8(v) << (row % 4 * 2)
		}
	}
	return nil
}

func (p *partitions) emit(ctx context.Context, d *Differ, verdicts []uint8) error {
	file, err := p.files.files.Open(logName)
	if err != nil {
		return err
	}
	defer file.Close()
	p.in.Reset(file)
	var pr Profile
	for row := range p.rows {
		if row%batchRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if p.buf, err = readProfile(p.in, &pr, p.buf); err != nil {
			return fmt.Errorf("read row %d of those put aside: %w", row, err)
		}
		if err := d.judge(&pr, Verdict(verdicts[row/4]>>(row%4*2)&3)); err != nil {
			return err
		}
	}
	return p.files.remove(logName)
}

func (p *partitions) close() error {
	err := p.log.close()
	for i := range p.parts {
		err = errors.Join(err, p.parts[i].close())
	}
	return errors.Join(err, p.files.removeAll())
}
