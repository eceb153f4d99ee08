package staging

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/email"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/internal/suppression"
	"iterable-segment-export/schemas"
)

// links finds which identifiers earlier runs knew of the profiles of a divided segment, on any of its
// lists: a profile that moves to another list with a row that lacks an identifier is not in the
// snapshot of that list. They are found once for all lists, before any of them is staged, and kept
// as hashes in the linkedFile of the segment. A nil one finds none.
type links struct {
	notes   *snapshot.Notes
	known   Known
	project string
	lists   map[string]uint64
	linked  bool // whether any profile has two identifiers
	records bool // whether there are entries of linkedFiles

	// What is known of the profile that is decided.
	key                                  snapshot.Key
	inSegment, lacks, moves, alone, with bool
	list                                 uint64
	written                              []suppression.Hash
}

// Kinds of notes about a profile, in the order in which they are decided.
const (
	noteRow    = iota // a row, with the number of its list and whether it lacks an identifier
	noteMember        // a member of a list that has one identifier, and whether it is sure
	notePair          // a member with two, with the number of its list and whether it is sure
	noteStaged        // an unfinished run has staged it with two
	noteRecord        // an entry of a linkedFile
)

// newLinks reads what earlier runs knew. It returns nil if that is nothing.
func newLinks(ctx context.Context, l *ledger.Ledger, in schemas.DivideInput, known Known) (_ *links, err error) {
	if !known.Suppresses {
		return nil, nil
	}
	x := &links{notes: snapshot.NewNotes(l.TempDir, 0), known: known, project: in.Connection.ProjectType, lists: map[string]uint64{}}
	defer func() {
		if err != nil || !x.linked && !x.records {
			err = errors.Join(err, x.notes.Close())
		}
	}()
	record := func(k snapshot.Key, entry suppression.Hash) error {
		x.records = true
		return x.notes.Add(k, noteRecord, 0, entry[:])
	}
	for _, key := range linkedFiles(in.Run, known) {
		if err := eachLinked(ctx, l.Root, key, record); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, list := range known.Lists {
		run := in.Run
		run.Segment = list
		if err := l.StagedToAdd(ctx, run, func(m *snapshot.Member) error { return x.pair(m, noteStaged, 0) }); err != nil {
			return nil, err
		}
		number := x.number(list) << 1
		err := l.Members(ctx, run, func(m *snapshot.Member) error {
			switch {
			case len(m.Email) > 0 && len(m.UserID) > 0 && m.Fields == snapshot.Unconfirmed:
				return x.pair(m, notePair, number)
			case len(m.Email) > 0 && len(m.UserID) > 0:
				return x.pair(m, notePair, number|1)
			case x.records && m.Fields == snapshot.Unconfirmed:
				return x.notes.Add(m.Key, noteMember, 0, nil)
			case x.records:
				return x.notes.Add(m.Key, noteMember, 1, nil)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if !x.linked && !x.records {
		return nil, nil
	}
	return x, nil
}

// linkedFiles returns the keys of the linkedFile of a divided segment and of those of its lists.
func linkedFiles(run schemas.RunRef, known Known) []string {
	keys := []string{ledger.Key(run, linkedFile)}
	for _, list := range slices.Concat(known.Lists, known.Emptied) {
		run.Segment = list
		keys = append(keys, ledger.Key(run, linkedFile))
	}
	return keys
}

func (x *links) number(list string) uint64 {
	n, ok := x.lists[list]
	if !ok {
		n = uint64(len(x.lists))
		x.lists[list] = n
	}
	return n
}

// pair notes a profile with two identifiers: by each that can be its key, the hashes of the other.
func (x *links) pair(m *snapshot.Member, kind, number uint64) error {
	if len(m.Email) == 0 || len(m.UserID) == 0 {
		return nil
	}
	x.linked = true
	if x.project != schemas.ProjectUserID {
		entry := suppression.UserID(m.UserID)
		if err := x.notes.Add(batch.AddressKey(m.Email), kind, number, entry[:]); err != nil || x.project != schemas.ProjectHybrid {
			return err
		}
	}
	key := batch.KeyHash(nil, m.UserID, x.project)
	entry := suppression.Address(m.Email)
	if err := x.notes.Add(key, kind, number, entry[:]); err != nil {
		return err
	}
	if other, differs := email.Unicode(m.Email); differs {
		entry = suppression.Address(other)
		return x.notes.Add(key, kind, number, entry[:])
	}
	return nil
}

// row notes row i of a batch, which is for a list, or for none.
func (x *links) row(s *staging, b segment.Batch, i int, list string, emails, users *segment.StringColumn) error {
	if x == nil {
		return nil
	}
	r := s.identifyRow(i, emails, users)
	p := r.profile(at(b, i))
	if r.reason != "" && s.named(&p, i, users) == nil {
		return nil
	}
	number := x.number(list) << 1
	if len(p.Email) == 0 || len(p.UserID) == 0 {
		number |= 1
	}
	return x.notes.Add(batch.KeyHash(p.Email, p.UserID, x.project), noteRow, number, nil)
}

// decide calls write with each profile and entry that the lists have to know: where a row lacks an
// identifier or is for another list, and of suppressed profiles. Every list that has the profile
// with two identifiers counts, and if one has, earlier records do not. Other records are kept even
// if their entry is on no suppression list now: the list may be incomplete. In a hybrid project a
// member with one identifier ends such a record, since the last row counts there.
func (x *links) decide(ctx context.Context, write func(snapshot.Key, suppression.Hash) error) error {
	first := true
	return x.notes.Each(ctx, func(k snapshot.Key, kind, number uint64, text []byte) error {
		if first || k != x.key {
			x.key, x.inSegment, x.lacks, x.moves, x.alone, x.with, x.written = k, false, false, false, false, false, x.written[:0]
			first = false
		}
		hybrid := x.project == schemas.ProjectHybrid
		keep := false
		switch kind {
		case noteRow:
			x.moves = x.moves || x.inSegment && x.list != number>>1
			x.inSegment, x.list, x.lacks = true, number>>1, x.lacks || number&1 == 1
			return nil
		case noteMember:
			x.inSegment = true // as good as a row
			x.moves, x.alone = true, x.alone || number == 1
			return nil
		case notePair:
			x.with = x.with || number&1 == 1
			keep = x.lacks || !hybrid && x.inSegment && (x.moves || x.list != number>>1)
		case noteStaged:
			keep = x.inSegment
		case noteRecord:
			if x.with {
				return nil
			}
			keep = !hybrid || !x.alone
		}
		entry := suppression.Hash(text)
		if !keep && !x.known.Suppressed.Has(entry) || slices.Contains(x.written, entry) {
			return nil
		}
		x.written = append(x.written, entry)
		return write(k, entry)
	})
}

// write writes the entries beside the divided rows, and, but for a check, for the next run. Those that
// the lists have kept for themselves are among them, and are deleted.
func (x *links) write(ctx context.Context, l *ledger.Ledger, in schemas.DivideInput, attempt string) (err error) {
	keys := []string{path.Join(dataroot.StagedDir(in.Run, attempt), linkedFile)}
	if !in.Check {
		keys = append(keys, ledger.Key(in.Run, linkedFile))
	}
	var files []*storage.Writer
	var out []io.Writer
	for _, key := range keys {
		f, err := l.Root.Create(ctx, key)
		if err != nil {
			return fmt.Errorf("store what is known of suppressed members: %w", err)
		}
		defer f.Abort()
		files, out = append(files, f), append(out, f)
	}
	w := bufio.NewWriter(io.MultiWriter(out...))
	err = x.decide(ctx, func(k snapshot.Key, entry suppression.Hash) error {
		_, err := w.Write(append(k[:], entry[:]...))
		return err
	})
	err = errors.Join(err, w.Flush())
	for _, f := range files {
		if err == nil {
			err = f.Close()
		}
	}
	if err != nil {
		return fmt.Errorf("store what is known of suppressed members: %w", err)
	}
	if in.Check {
		return nil
	}
	for _, key := range linkedFiles(in.Run, x.known)[1:] {
		if err := l.Root.DeletePrefix(ctx, key); err != nil {
			return fmt.Errorf("delete what a list knew of suppressed members: %w", err)
		}
	}
	return nil
}

func (x *links) close() error {
	if x == nil {
		return nil
	}
	return x.notes.Close()
}

// eachLinked calls f with each entry of a linkedFile.
func eachLinked(ctx context.Context, root *storage.Root, key string, f func(snapshot.Key, suppression.Hash) error) error {
	file, err := root.Open(ctx, key)
	if errors.Is(err, storage.ErrDamaged) {
		return damagedLinked(key)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Size()%int64(linkedSize) != 0 {
		return damagedLinked(key)
	}
	r := bufio.NewReaderSize(io.NewSectionReader(file, 0, file.Size()), 64<<10)
	one := make([]byte, linkedSize)
	for range file.Size() / int64(linkedSize) {
		if _, err := io.ReadFull(r, one); errors.Is(err, storage.ErrDamaged) {
			return damagedLinked(key)
		} else if err != nil {
			return fmt.Errorf("read which suppressed members were removed: %w", err)
		}
		if err := f(snapshot.Key(one), suppression.Hash(one[len(snapshot.Key{}):])); err != nil {
			return err
		}
	}
	return nil
}

func damagedLinked(key string) error {
	return step.NeedOperator(schemas.ErrorSuppression, fmt.Sprintf(
		"the record of suppressed members that were removed, %s in the data root, is damaged; restore it from a backup, or delete it, then retry: without it, a profile may be sent whose address is known only to Iterable", key))
}

// HasLinked reports whether a list has a linkedFile that its divided segment has not read.
func HasLinked(ctx context.Context, l *ledger.Ledger, run schemas.RunRef) (bool, error) {
	return l.Root.Has(ctx, ledger.Key(run, linkedFile))
}
