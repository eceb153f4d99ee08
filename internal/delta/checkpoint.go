package delta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/parquetfile"
)

// checkpoints are the files of a log's checkpoints by version.
type checkpoints map[int64]map[int][]string // by the number of parts

// add records a file of a checkpoint; rest is its name after the version.
func (c checkpoints) add(version int64, rest, name string) bool {
	parts := strings.Split(rest, ".")
	if parts[0] != "checkpoint" || len(parts) < 2 {
		return false
	}
	total, suffix := 1, parts[len(parts)-1]
	switch {
	case len(parts) == 2 && suffix == "parquet": // classic
	case len(parts) == 3 && (suffix == "parquet" || suffix == "json"): // version 2
		total = 0 // each is complete
	case len(parts) == 4 && suffix == "parquet": // part 2 of 4
		n, err := strconv.Atoi(parts[2])
		if err != nil || n < 1 {
			return false
		}
		total = n
	default:
		return false
	}
	if c[version] == nil {
		c[version] = map[int][]string{}
	}
	if total == 0 {
		c[version][1] = []string{name}
		return true
	}
	c[version][total] = append(c[version][total], name)
	return true
}

// newest returns the newest complete checkpoint.
func (c checkpoints) newest() (version int64, parts []string) {
	version = -1
	for v, byTotal := range c {
		for total, names := range byTotal {
			if v > version && len(names) >= total {
				version, parts = v, names
			}
		}
	}
	return version, parts
}

// checkpoint reads one file of a checkpoint, and the sidecars that it names.
func (f *folder) checkpoint(name string, s *state) error {
	before := len(s.sidecars)
	var err error
	if strings.HasSuffix(name, ".json") {
		err = f.lines(name, s.apply)
	} else {
		err = f.rows(name, s)
	}
	if err != nil {
		return err
	}
	for _, sidecar := range s.sidecars[before:] {
		local, err := localName(sidecar)
		if err != nil {
			return err
		}
		if err := f.rows(logFolder+"_sidecars/"+local, s); err != nil {
			return fmt.Errorf("sidecar %s: %w", local, err)
		}
	}
	return nil
}

// wanted are the columns of a checkpoint that are read. Their names are those of action.
var wanted = []string{
	"add.path", "add.partitionValues", "add.size", "add.deletionVector.storageType", "add.deletionVector.pathOrInlineDv",
	"add.deletionVector.offset", "add.deletionVector.sizeInBytes", "add.deletionVector.cardinality",
	"metaData.schemaString", "metaData.partitionColumns", "metaData.configuration", "metaData.format.provider",
	"protocol.minReaderVersion", "protocol.readerFeatures", "sidecar.path",
}

func (s *state) wanted() []string {
	if s.statistics {
		return append(slices.Clone(wanted), "add.stats")
	}
	return wanted
}

// rows reads actions in Parquet.
func (f *folder) rows(name string, s *state) (err error) {
	file, err := f.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	defer columnar.Guard(&err)
	src := columnar.NewSource(f.ctx, file)
	p, err := parquetfile.Open(src, false)
	if err != nil {
		return err
	}
	var paths [][]int
	var names []string
	for _, w := range s.wanted() {
		if path := find(p.Fields, strings.Split(w, ".")); path != nil {
			if _, f := columnar.At(p.Fields, path); columnar.Supported(f.Type) != nil {
				return fmt.Errorf("column %q: unsupported type: %w", w, columnar.Supported(f.Type))
			}
			paths, names = append(paths, path), append(names, w)
		}
	}
	if err := p.Check(paths); err != nil {
		return err
	}
	b, err := p.Open(src, paths, columnar.Options{BatchRows: 1024})
	if err != nil {
		return err
	}
	defer b.Close()
	for {
		columns, n, err := b.Next()
		if err == io.EOF {
			return src.Failed()
		}
		if err != nil {
			return errors.Join(err, src.Failed())
		}
		for i := range n {
			a, err := rowAction(names, columns, i)
			if err == nil {
				err = s.apply(a)
			}
			if err != nil {
				return err
			}
		}
		for _, c := range columns {
			c.Release()
		}
	}
}

func find(fields []arrow.Field, names []string) []int {
	for i, f := range fields {
		if f.Name != names[0] {
			continue
		}
		if len(names) == 1 {
			return []int{i}
		}
		if st, ok := f.Type.(*arrow.StructType); ok {
			if rest := find(st.Fields(), names[1:]); rest != nil {
				return append([]int{i}, rest...)
			}
		}
	}
	return nil
}

// rowAction returns the action of one row. It converts the row to the JSON that a commit
// has.
func rowAction(names []string, columns []arrow.Array, i int) (*action, error) {
	row := map[string]any{}
	for c, name := range names {
		if columns[c].IsNull(i) {
			continue
		}
		at := row
		parts := strings.Split(name, ".")
		for _, p := range parts[:len(parts)-1] {
			next, ok := at[p].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[p] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = plain(columns[c], i)
	}
	data, err := json.Marshal(row)
	if err != nil {
		return nil, err
	}
	a := new(action)
	if err := json.Unmarshal(data, a); err != nil {
		return nil, errors.New("a row does not follow Delta's protocol")
	}
	return a, nil
}

// plain returns a value for encoding/json; maps of texts become objects.
func plain(arr arrow.Array, i int) any {
	m, ok := arr.(*array.Map)
	if !ok {
		return arr.GetOneForMarshal(i)
	}
	out := map[string]any{}
	from, to := m.ValueOffsets(i)
	for k := from; k < to; k++ {
		out[m.Keys().ValueStr(int(k))] = m.Items().GetOneForMarshal(int(k))
	}
	return out
}
