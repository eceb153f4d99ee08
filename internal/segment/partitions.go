package segment

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"

	"iterable-segment-export/internal/columnar"
	"iterable-segment-export/internal/storage"
)

// Partitions are those of Hive: a folder named country=NO adds a column country with the
// value NO to all rows of the files below it. Characters that a folder's name can't have
// are percent-encoded.

// nullPartition is the value of a partition's folder for null.
const nullPartition = "__HIVE_DEFAULT_PARTITION__"

// partitionValue is a partition column of a file. Its value is an array of one element.
type partitionValue struct {
	name  string
	value arrow.Array
}

func hasPartition(values []partitionValue, name string) bool {
	return slices.ContainsFunc(values, func(v partitionValue) bool { return v.name == name })
}

// warnOfCase adds a warning for each column of a file that differs from one of its partitions
// only in case, if one of the two is read: Spark and Hive take them for the same column.
func (r *resolver) warnOfCase(values []partitionValue, fields []arrow.Field, paths [][]int) {
	for _, v := range values {
		for i, f := range fields {
			if f.Name == v.name || !strings.EqualFold(f.Name, v.name) {
				continue
			}
			var read []string
			for _, p := range paths {
				if p != nil && (p[0] == i || fields[p[0]].Name == v.name) && !slices.Contains(read, fields[p[0]].Name) {
					read = append(read, fields[p[0]].Name)
				}
			}
			switch len(read) {
			case 1:
				r.warn(fmt.Sprintf("files have a column %q beside the partition column %q: the run reads %q; map the other one if it is meant", f.Name, v.name, read[0]))
			case 2:
				r.warn(fmt.Sprintf("files have a column %q beside the partition column %q: the run reads both; list the fields to send if one is a copy", f.Name, v.name))
			}
		}
	}
}

// folderValues returns the names and texts of a file's partitions, including those in the
// source's own path.
func folderValues(o storage.Object) (out [][2]string) {
	for _, e := range strings.Split(path.Join(o.Partition, path.Dir(o.Name)), "/") {
		column, value, ok := strings.Cut(e, "=")
		if !ok || column == "" {
			continue
		}
		if c, err := url.PathUnescape(column); err == nil {
			column = c
		}
		if v, err := url.PathUnescape(value); err == nil {
			value = v
		}
		out = append(out, [2]string{column, value})
	}
	return out
}

// partitions returns the partition columns of each file. A column has the first type that
// fits all its values, as in Hive and Spark; those in asText are text.
func partitions(objects []storage.Object, asText []string) [][]partitionValue {
	folders := make([][][2]string, len(objects))
	fits := map[string]int{} // by column, the first of partitionTypes that fits all values so far
	for i, o := range objects {
		folders[i] = folderValues(o)
		for _, v := range folders[i] {
			if _, ok := fits[v[0]]; !ok && slices.ContainsFunc(asText, func(name string) bool { return strings.EqualFold(name, v[0]) }) {
				fits[v[0]] = len(partitionTypes) - 1
			}
		}
	}
	for again := true; again; { // a type that fits all may not fit the first ones
		again = false
		for _, values := range folders {
			for _, v := range values {
				for v[1] != nullPartition && constant(fits[v[0]], v[1]) == nil {
					fits[v[0]]++
					again = true
				}
			}
		}
	}
	out := make([][]partitionValue, len(objects))
	for i, values := range folders {
		for _, v := range values {
			p := partitionValue{name: v[0], value: array.NewNull(1)}
			if v[1] != nullPartition {
				p.value = constant(fits[v[0]], v[1])
			}
			out[i] = append(out[i], p)
		}
	}
	return out
}

// partitionTypes are the possible types of a partition, and a condition on its texts, since
// a value that its type would round is text.
var partitionTypes = [...]struct {
	dt arrow.DataType
	is func(text string) bool
}{
	{arrow.PrimitiveTypes.Int64, func(text string) bool { return !strings.HasPrefix(text, "+") }},
	{&arrow.Decimal128Type{Precision: 38}, func(text string) bool {
		digits := strings.TrimPrefix(text, "-")
		return digits != "" && len(digits) <= 38 && strings.Trim(digits, "0123456789") == ""
	}},
	{arrow.PrimitiveTypes.Float64, func(text string) bool {
		const exact = 15 // digits that a double keeps
		return strings.Trim(text, "0123456789.-") == "" && len(strings.Trim(text, "-0"))-strings.Count(text, ".") <= exact
	}},
	{arrow.FixedWidthTypes.Date32, func(string) bool { return true }},
	{arrow.FixedWidthTypes.Timestamp_us, func(text string) bool {
		at, err := time.Parse(time.DateTime, text)
		return err == nil && at.Nanosecond()%1000 == 0
	}},
	{arrow.BinaryTypes.String, func(string) bool { return true }},
}

// constant returns an array of one element, nil if the type does not fit the text.
func constant(kind int, text string) arrow.Array {
	t := partitionTypes[kind]
	if !t.is(text) {
		return nil
	}
	value, err := columnar.Constant(t.dt, text)
	if err != nil {
		return nil
	}
	return value
}
