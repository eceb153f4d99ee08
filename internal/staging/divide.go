package staging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync/atomic"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/dataroot"
	"iterable-segment-export/internal/ledger"
	"iterable-segment-export/internal/parts"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/snapshot"
	"iterable-segment-export/internal/step"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// Files of the divided rows, in the folder of a divided segment's staged files.
const (
	partsFile = "parts.arrow"
	partsList = "parts.json" // a parts.Index
)

// Divide reads a segment with several lists once, and writes its rows by list for the Stage of
// each list.
func Divide(ctx context.Context, l *ledger.Ledger, in schemas.DivideInput, attempt string, seg *segment.Segment, known Known, read *atomic.Int64) (schemas.DivideResult, error) {
	d := newDivision(in, seg)
	if err := d.noIdentity(); err != nil {
		return d.result, err
	}
	var err error
	if d.links, err = newLinks(ctx, l, in, known); err != nil {
		return d.result, err
	}
	if err = d.divide(ctx, l, attempt, read); err == nil {
		err = d.lists(known)
	}
	if err == nil && d.links != nil {
		d.index.Linked = true
		err = d.links.write(ctx, l, in, attempt)
	}
	if err == nil {
		err = d.write(ctx, l.Root)
	}
	return d.result, errors.Join(err, d.links.close())
}

// division divides the rows of one segment.
type division struct {
	in      schemas.DivideInput
	seg     *segment.Segment
	attempt string
	rows    *staging // only to identify profiles
	found   *snapshot.Duplicates
	value   int // the column ForEach; -1 for a split
	groups  []schemas.Group
	out     *parts.Writer
	left    *unlisted
	links   *links
	index   parts.Index
	byList  map[string][]int32   // rows of one batch
	values  map[string]string    // lists by value, as it is in the column
	named   map[string]namedList // by list in lower case, as Iterable compares names
	result  schemas.DivideResult
}

// namedList is the list of a value, with the first row that has the value.
type namedList struct {
	list string
	at   position
}

// mostValues bounds the values that are counted, and with them the memory.
const mostValues = 10_000

func newDivision(in schemas.DivideInput, seg *segment.Segment) *division {
	d := &division{
		in: in, seg: seg, value: -1, byList: map[string][]int32{}, values: map[string]string{}, named: map[string]namedList{},
		rows: &staging{
			in:     schemas.StageInput{Run: in.Run, Export: in.Export, Segment: in.Segment, Connection: in.Connection},
			export: in.Export, names: seg.Files(), emailColumn: -1, userColumn: -1, byColumn: -1,
		},
	}
	d.rows.columns(seg)
	if in.Segment.Split != nil {
		d.groups = in.Segment.Groups()
	}
	for i, c := range seg.Columns {
		if c.Role == segment.ForEach {
			d.value = i
		}
	}
	return d
}

// noIdentity returns an error if the column ForEach is one that identifies people: its values would
// be names of lists.
func (d *division) noIdentity() error {
	for i, c := range d.seg.Columns {
		if d.value >= 0 && (i == d.rows.emailColumn || i == d.rows.userColumn) && c.Name == d.seg.Columns[d.value].Name {
			return step.NeedOperator(schemas.ErrorBadExport, fmt.Sprintf("segment %q: forEach names the column %q, which identifies people, and its values would be names of lists that everyone sees; abort, and choose another column",
				d.in.Segment.Name, c.Name))
		}
	}
	return nil
}

// divide reads the segment and writes its rows by list.
func (d *division) divide(ctx context.Context, l *ledger.Ledger, attempt string, read *atomic.Int64) (err error) {
	d.attempt = attempt
	file, err := l.Root.Create(ctx, path.Join(dataroot.StagedDir(d.in.Run, attempt), partsFile))
	if err != nil {
		return fmt.Errorf("make the divided rows: %w", err)
	}
	defer file.Abort()
	if d.out, err = parts.NewWriter(file, d.seg); err != nil {
		return err
	}
	defer d.out.Discard()
	if d.left, err = newUnlisted(ctx, l.Root, dataroot.StagedDir(d.in.Run, attempt), d.in.Export); err != nil {
		return err
	}
	defer d.left.abort()
	// Rows of one person are in the same group, but can have different values.
	if d.value >= 0 || d.in.Export.Dedupe.Keep != "" {
		d.found = snapshot.NewDuplicates(l.TempDir, 0)
		defer func() { err = errors.Join(err, d.found.Close()) }()
	}
	for b, err := range d.seg.ReadAll(ctx) {
		if err == nil {
			err = d.record(ctx, b)
		}
		if err != nil {
			return err
		}
		read.Store(d.result.Manifest.Read)
	}
	if n := len(d.named); n > d.mostLists() {
		return step.NeedOperator(schemas.ErrorColumn, d.tooMany(n))
	}
	if d.index, err = d.out.Close(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("write the divided rows: %w", err)
	}
	if err := d.left.close(); err != nil {
		return err
	}
	d.count(l)
	return d.dedupe()
}

// count adds to the manifest what was read.
func (d *division) count(l *ledger.Ledger) {
	m, traffic := &d.result.Manifest, d.seg.Traffic()
	m.Attempt, m.BytesRead, m.Reads, m.Warnings = d.attempt, traffic.Bytes, traffic.Requests, d.seg.Warnings()
	if k := d.seg.Skipped(); k != (schemas.Skipped{}) {
		m.Skipped = &k
		m.Read += k.Rows
		m.Filtered += k.Rows
	}
	l.Log.Info("segment divided", "export", d.in.Run.Export, "segment", d.in.Run.Segment, "rows", m.Read, "lists", len(d.index.Parts),
		"bytesRead", traffic.Bytes, "ofBytes", d.seg.Info().Bytes, "reads", traffic.Requests)
}

func (d *division) mostLists() int {
	if d.in.Segment.MaxLists > 0 {
		return d.in.Segment.MaxLists
	}
	return schemas.DefaultMaxLists
}

// tooMany says that there would be too many lists, without any of the values, which may be about
// people.
func (d *division) tooMany(n int) string {
	count := fmt.Sprint(n)
	if n >= mostValues {
		count = fmt.Sprintf("at least %d", n)
	}
	return fmt.Sprintf("segment %q: column %q has %s values, each of which would be the name of a list, and maxLists is %d; correct the column and retry, or abort, set forEach to another column or raise maxLists, and run the export again",
		d.in.Segment.Name, d.in.Segment.ForEach, count, d.mostLists())
}

// record adds the rows of a batch to the parts of their lists.
func (d *division) record(ctx context.Context, b segment.Batch) error {
	if d.found != nil {
		if err := d.rows.ranked(b, d.found); err != nil {
			return err
		}
	}
	if err := d.out.AddIdentities(ctx, d.seg, b); err != nil {
		return err
	}
	emails, users, err := d.rows.identifiers(b)
	if err != nil {
		return err
	}
	listOf, err := d.lister(b, emails, users)
	if err != nil {
		return err
	}
	clear(d.byList)
	for i := range int(b.NumRows()) {
		d.result.Manifest.Read++
		list, why := "", schemas.Reason("")
		if b.Match != nil && !b.Match[i] {
			d.result.Manifest.Filtered++
		} else if list, err = listOf(i); err != nil {
			return err
		} else if why = schemas.ReasonHoldout; d.value >= 0 {
			why = schemas.ReasonNoValue
		}
		if b.Match == nil || b.Match[i] {
			if err := d.links.row(d.rows, b, i, list, emails, users); err != nil {
				return err
			}
		}
		if list != "" {
			d.byList[list] = append(d.byList[list], int32(i))
		} else if err := d.left.add(d.rows, b, i, why, emails, users); err != nil {
			return err
		}
	}
	if len(d.named) > d.mostLists() {
		return nil // only the number of values counts
	}
	for list, rows := range d.byList {
		if err := d.out.Add(ctx, d.seg, list, b, rows); err != nil {
			return err
		}
	}
	return nil
}

// lister returns the list of a row of a batch, or "" for a row that is on none.
func (d *division) lister(b segment.Batch, emails, users *segment.StringColumn) (func(i int) (string, error), error) {
	if d.value < 0 {
		return func(i int) (string, error) { return d.groupOf(i, emails, users), nil }, nil
	}
	column, err := segment.NewStringColumn(b.Column(d.value))
	return func(i int) (string, error) {
		raw, ok := column.Bytes(i)
		if !ok {
			d.result.Divided.WithoutValue++
			return "", nil
		}
		return d.listOf(raw, at(b, i))
	}, err
}

// groupOf returns the list of a row's group. A rejected row with a valid identifier is in its
// person's group, who stays on the list. A row without one has a group too, by the value that is
// at fault, so that one list counts it.
func (d *division) groupOf(i int, emails, users *segment.StringColumn) string {
	r := d.rows.identifyRow(i, emails, users)
	key := batch.KeyHash(r.email, r.userID, d.in.Connection.ProjectType)
	if r.reason != "" {
		p := r.profile(position{})
		if named := d.rows.named(&p, i, users); named != nil {
			key = *named
		} else {
			key = batch.KeyHash(r.value, nil, schemas.ProjectEmail)
		}
	}
	for _, g := range d.groups {
		if batch.InGroup(key, g) {
			if g.List == "" {
				d.result.Divided.HeldOut++
			}
			return g.List
		}
	}
	return "" // the shares are the whole
}

// listOf returns the list of a value. It refuses values after which no list can be named. Its
// errors have the place of a value and not the value, which may be about a person.
func (d *division) listOf(raw []byte, at position) (string, error) {
	if list, ok := d.values[string(raw)]; ok {
		if list == "" {
			d.result.Divided.WithoutValue++
		}
		return list, nil
	}
	value := strings.TrimSpace(string(raw))
	if value == "" {
		d.values[string(raw)] = ""
		d.result.Divided.WithoutValue++
		return "", nil
	}
	refuse := func(why string) error {
		return step.NeedOperator(schemas.ErrorColumn, fmt.Sprintf("segment %q: the value of column %q in row %d of %s %s; a list for each value is made only of short texts; correct the column and retry, or abort, set forEach to another column, and run the export again",
			d.in.Segment.Name, d.in.Segment.ForEach, at.row, d.rows.names[at.file], why))
	}
	if why := d.in.Segment.BadValue(value); why != "" {
		return "", refuse(why)
	}
	list := d.in.Segment.ListOf(value)
	folded := strings.ToLower(list)
	first, known := d.named[folded]
	switch {
	case known && first.list != list:
		return "", refuse(fmt.Sprintf("differs from that in row %d of %s only in case, and Iterable does not tell such lists apart", first.at.row, d.rows.names[first.at.file]))
	case !known && len(d.named) >= mostValues:
		return "", step.NeedOperator(schemas.ErrorColumn, d.tooMany(mostValues))
	case !known:
		d.named[folded] = namedList{list, at}
	}
	if len(d.values) < 2*mostValues { // the same value with other spaces
		d.values[string(raw)] = list
	}
	return list, nil
}

// dedupe finds the rows that are not kept.
func (d *division) dedupe() error {
	if d.found == nil {
		return nil
	}
	losers, err := losersOf(d.found, d.in.Export.Dedupe.Keep)
	if err != nil {
		return err
	}
	d.index.Losers = map[int32][]byte{}
	for file, rows := range losers {
		if d.index.Losers[file], err = rows.ToBytes(); err != nil {
			return err
		}
	}
	return nil
}

// write writes the index beside the rows.
func (d *division) write(ctx context.Context, root *storage.Root) error {
	data, err := json.Marshal(d.index)
	if err == nil {
		err = root.Write(ctx, path.Join(dataroot.StagedDir(d.in.Run, d.attempt), partsList), data)
	}
	if err != nil {
		return fmt.Errorf("write the divided rows: %w", err)
	}
	return nil
}
