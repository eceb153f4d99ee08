package segment

import (
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"

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
	const most = len(partitionTypes)
	misfit := map[string][most]bool{} // by column, the types that don't fit some value
	for i, o := range objects {
		folders[i] = folderValues(o)
		for _, v := range folders[i] {
			not := misfit[v[0]]
			for t := range not {
				not[t] = not[t] || v[1] != nullPartition && !partitionTypes[t].is(v[1])
			}
			misfit[v[0]] = not
		}
	}
	out := make([][]partitionValue, len(objects))
	for i, values := range folders {
		for _, v := range values {
			not := misfit[v[0]]
			dt := partitionTypes[slices.Index(not[:], false)].dt
			if slices.ContainsFunc(asText, func(name string) bool { return strings.EqualFold(name, v[0]) }) {
				dt = arrow.BinaryTypes.String
			}
			p := partitionValue{name: v[0], value: array.NewNull(1)}
			if v[1] != nullPartition {
				p.value = one(dt, v[1])
			}
			out[i] = append(out[i], p)
		}
	}
	return out
}

// partitionTypes are the possible types of a partition, and which texts fit them. A number
// that its type would round is text.
var partitionTypes = [...]struct {
	dt arrow.DataType
	is func(text string) bool
}{
	{arrow.PrimitiveTypes.Int64, func(text string) bool { _, err := strconv.ParseInt(text, 10, 64); return err == nil && text[0] != '+' }},
	{&arrow.Decimal128Type{Precision: 38}, func(text string) bool {
		digits := strings.TrimPrefix(text, "-")
		return digits != "" && len(digits) <= 38 && strings.Trim(digits, "0123456789") == ""
	}},
	{arrow.PrimitiveTypes.Float64, func(text string) bool {
		const exact = 15 // digits that a double keeps
		_, err := strconv.ParseFloat(text, 64)
		return err == nil && strings.Trim(text, "0123456789.-") == "" && len(strings.Trim(text, "-0"))-strings.Count(text, ".") <= exact
	}},
	{arrow.FixedWidthTypes.Date32, func(text string) bool { _, err := time.Parse(time.DateOnly, text); return err == nil }},
	{arrow.FixedWidthTypes.Timestamp_us, func(text string) bool { _, err := time.Parse(time.DateTime, text); return err == nil }},
	{arrow.BinaryTypes.String, func(string) bool { return true }},
}

// one returns an array of one element, null if the text can't be parsed.
func one(dt arrow.DataType, text string) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, dt)
	defer b.Release()
	if err := b.AppendValueFromString(text); err != nil {
		return array.NewNull(1)
	}
	return b.NewArray()
}
