package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v15/arrow"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/schemas"
)

// Column is a column to be sent as a data field.
type Column struct {
	// Index is the column's position in the records that Bind gets.
	Index int
	// Name is the column's name or path into structs, as the segment has it.
	Name string
	// As is the field's name in Iterable; default the last part of Name.
	As   string
	Type arrow.DataType
	// Forced is schemas.Field.Type: the JSON form, empty for the column's own.
	Forced string
	// Value makes the column a constant: Index, Name and Type are not used then.
	Value schemas.Literal
	// Transform, Nulls and Default are those of schemas.Field.
	Transform []string
	Nulls     string
	Default   schemas.Literal
}

// Options are the settings of a mapping.
type Options struct {
	// Nulls is schemas.NullsOmit (the default) or schemas.NullsSend.
	Nulls string
	// OnInvalid is schemas.InvalidOmit (the default): a value that can't be sent
	// is left out and counted, or schemas.InvalidReject: its row is rejected.
	OnInvalid string
	// MostBytes is about how much JSON one row may have: if a row has more,
	// Append stops rather than write it all. 0 is 64 MB.
	MostBytes int
}

// defaultMost is the default of Options.MostBytes.
const defaultMost = 64 << 20

// Mapper writes rows of a segment as the JSON of dataFields. It is not safe for
// concurrent use; Clone returns one for another goroutine.
type Mapper struct {
	columns   []column
	sendNulls bool
	reject    bool // rows with a value that can't be sent
	most      int
	omitted   []string // columns whose values the last row lacks
}

// column is a compiled Column.
type column struct {
	Column
	key  []byte // the field's name and a colon
	kind string // of the field in Iterable
	enc  encoder
	*notes
	// sendNulls sends rows without a value as null; otherwise is what they have instead, as
	// JSON, nil without a default.
	sendNulls bool
	otherwise []byte
	steps     []transform
	emptyNull bool // an empty text is null
}

// notes is shared by the encoders of a column: how much they may write, and counts of
// changed and omitted values.
type notes struct {
	room // for the row that is being written

	integers int64            // integers beyond ±2^53 sent as strings
	decimals int64            // decimals of more digits than a double holds, sent as strings
	leftOut  map[string]int64 // values that could not be sent, by what is wrong
}

// InvalidValue is why a row can't be sent: the reject's reason is schemas.ReasonInvalidValue.
// It never contains the value.
type InvalidValue struct {
	// Column is the column's name in the segment, Field the field's in Iterable.
	Column, Field string
	// Problem completes a sentence that starts with "the value".
	Problem string
	// TooLarge is set if the row has more than Options.MostBytes.
	TooLarge bool
}

// Compile compiles a mapping. Every name must be one that Iterable accepts and does not
// manage itself, no two fields may have one name, and every column must have a type with a
// JSON form. The error lists all problems.
func Compile(columns []Column, o Options) (*Mapper, error) {
	m := &Mapper{sendNulls: o.Nulls == schemas.NullsSend, reject: o.OnInvalid == schemas.InvalidReject, most: cmp.Or(o.MostBytes, defaultMost)}
	var errs []error
	if o.Nulls != "" && o.Nulls != schemas.NullsOmit && o.Nulls != schemas.NullsSend {
		errs = append(errs, fmt.Errorf("nulls is %q; it must be %q or %q", o.Nulls, schemas.NullsOmit, schemas.NullsSend))
	}
	if o.OnInvalid != "" && o.OnInvalid != schemas.InvalidOmit && o.OnInvalid != schemas.InvalidReject {
		errs = append(errs, fmt.Errorf("onInvalid is %q; it must be %q or %q", o.OnInvalid, schemas.InvalidOmit, schemas.InvalidReject))
	}
	var names Names
	for _, c := range columns {
		var err error
		if c.Value != "" {
			c.Name = c.As
		}
		if c.As, err = names.Add(c.Name, c.As); err != nil {
			errs = append(errs, err)
			continue
		}
		kind, err := c.check()
		if err != nil {
			errs = append(errs, fmt.Errorf("column %s: %w", c.Name, err))
			continue
		}
		one := column{Column: c, key: appendKey(nil, c.As), kind: kind, notes: &notes{}, sendNulls: m.sendNulls}
		if c.Nulls != "" {
			one.sendNulls = c.Nulls == schemas.NullsSend
		}
		if c.Default != "" {
			one.otherwise = appendLiteral(nil, c.Default)
		}
		for _, name := range c.Transform {
			one.steps = append(one.steps, transforms[name])
			one.emptyNull = one.emptyNull || name == emptyToNull
		}
		m.columns = append(m.columns, one)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return m, nil
}

func (c Column) check() (kind string, err error) {
	if c.Value != "" {
		return literalKind(c.Value), nil
	}
	if c.Type == nil {
		return "", errors.New("its type is not known")
	}
	if kind, err = kindOf(c.Type, c.Forced, 0); err != nil {
		return kind, err
	}
	return kind, c.checkTransform(kind)
}

func appendKey(dst []byte, name string) []byte {
	return append(batch.AppendString(dst, []byte(name)), ':')
}

// Empty reports whether no field is mapped; Append would give {}.
func (m *Mapper) Empty() bool { return len(m.columns) == 0 }

// Bind prepares for the rows of a record. Files of a segment may have a column in different
// types: the record's counts, and Bind fails if that has no form. The mapper reads the record
// in place and does not retain it: the record must live until the next Bind.
func (m *Mapper) Bind(rec arrow.Record) (err error) {
	defer columnar.Guard(&err) // Arrow panics on inconsistent arrays
	for i := range m.columns {
		c := &m.columns[i]
		if c.Value != "" {
			c.enc = constant(appendLiteral(nil, c.Value))
			continue
		}
		if c.Index < 0 || int64(c.Index) >= rec.NumCols() {
			return fmt.Errorf("column %s: there is no column %d in the record", c.Name, c.Index)
		}
		arr := rec.Column(c.Index)
		if _, err := kindOf(arr.DataType(), c.Forced, 0); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		b := binder{force: c.Forced, sendNulls: m.sendNulls, notes: c.notes, before: c.enc, steps: c.steps, emptyNull: c.emptyNull}
		if c.enc, err = b.bind(arr); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return nil
}

// Append appends a row of the bound record as a JSON object. A value that can't be sent is left
// out, and LeftOut counts it. If such rows are rejected, or the row is too large, it returns
// dst unchanged and the problem.
func (m *Mapper) Append(dst []byte, row int) ([]byte, *InvalidValue) {
	start := len(dst)
	m.omitted = m.omitted[:0]
	dst = append(dst, '{')
	for i := range m.columns {
		c := &m.columns[i]
		null := c.enc.null(row)
		if null && !c.sendNulls && c.otherwise == nil {
			continue
		}
		before := len(dst)
		if before > start+1 {
			dst = append(dst, ',')
		}
		dst = append(dst, c.key...)
		if null && c.otherwise != nil {
			dst = append(dst, c.otherwise...)
			continue
		}
		if null {
			dst = append(dst, "null"...)
			continue
		}
		var problem string
		c.end = start + m.most
		if dst, problem = c.enc.append(dst, row); problem == "" {
			problem = c.roomFor(dst, 0)
		}
		if problem != "" && problem != tooLarge && problem != beyond && !m.reject {
			dst = dst[:before]
			c.leaveOut(problem)
			m.omitted = append(m.omitted, c.Name)
			continue
		}
		if problem != "" {
			return dst[:start], &InvalidValue{Column: c.Name, Field: c.As, Problem: problem, TooLarge: problem == tooLarge}
		}
	}
	return append(dst, '}'), nil
}

// Omitted returns the names of the columns whose values the last row was appended without, since
// they can't be sent. It is valid until the next row.
func (m *Mapper) Omitted() []string { return m.omitted }

// leaveOut counts a value that could not be sent.
func (n *notes) leaveOut(problem string) {
	if n.leftOut == nil {
		n.leftOut = map[string]int64{}
	}
	n.leftOut[problem]++
}

// LeftOut returns how many values of each column could not be sent, and why.
func (m *Mapper) LeftOut() []schemas.LeftOut {
	var out []schemas.LeftOut
	for _, c := range m.columns {
		for problem, n := range c.leftOut {
			out = append(out, schemas.LeftOut{Column: c.Name, Reason: problem, Count: n})
		}
	}
	slices.SortFunc(out, func(a, b schemas.LeftOut) int {
		return cmp.Or(cmp.Compare(a.Column, b.Column), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Warnings returns a sentence for each column with values that were sent in another form than
// their type's. In a dictionary-encoded column each value counts once per dictionary.
func (m *Mapper) Warnings() []string {
	var out []string
	for _, c := range m.columns {
		const asStrings = "column %s: %d %s go as strings, because Iterable would round them as numbers. It refuses them in a field that holds numbers already: send the column with type: string, as a field of another name where %s is one"
		if c.integers > 0 {
			out = append(out, fmt.Sprintf(asStrings, c.Name, c.integers, "integers beyond ±2^53", c.As))
		}
		if c.decimals > 0 {
			out = append(out, fmt.Sprintf(asStrings, c.Name, c.decimals, fmt.Sprintf("decimals of more than %d digits", doubleDigits), c.As))
		}
	}
	for _, l := range m.LeftOut() {
		out = append(out, fmt.Sprintf("column %s: %d values were left out, because each %s", l.Column, l.Count, l.Reason))
	}
	return out
}
