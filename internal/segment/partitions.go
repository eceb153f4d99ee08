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

// Partitions in the manner of Hive: a folder named country=NO stands for a column
// country whose value is NO in all rows of the files below it. Names and values are
// percent-encoded where they have characters that folders can't have.

// nullPartition is the folder's value for null.
const nullPartition = "__HIVE_DEFAULT_PARTITION__"

// partitionValue is a partition column of a file, its value an array of one element.
type partitionValue struct {
	name  string
	value arrow.Array
}

func hasPartition(values []partitionValue, name string) bool {
	return slices.ContainsFunc(values, func(v partitionValue) bool { return v.name == name })
}

// folderValues returns the names and texts of the partitions that a file lies in.
func folderValues(name string) (out [][2]string) {
	for _, e := range strings.Split(path.Dir(name), "/") {
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

// partitions finds the partition columns of all files and infers their types, as
// Hive and Spark do: a column is of the first type that all its values have. asText
// are the columns whose text is wanted as it stands.
func partitions(objects []storage.Object, asText []string) [][]partitionValue {
	folders := make([][][2]string, len(objects))
	fits := map[string]int{} // by column, the first of partitionTypes that fits
	for i, o := range objects {
		folders[i] = folderValues(o.Name)
		for _, v := range folders[i] {
			at := fits[v[0]]
			for v[1] != nullPartition && partitionTypes[at](v[1]) == nil {
				at++
			}
			fits[v[0]] = at
		}
	}
	out := make([][]partitionValue, len(objects))
	for i, values := range folders {
		for _, v := range values {
			parse := partitionTypes[fits[v[0]]]
			if slices.ContainsFunc(asText, func(name string) bool { return strings.EqualFold(name, v[0]) }) {
				parse = textPartition
			}
			p := partitionValue{name: v[0], value: array.NewNull(1)}
			if v[1] != nullPartition {
				p.value = parse(v[1])
			}
			out[i] = append(out[i], p)
		}
	}
	return out
}

// partitionTypes make an array of one element of a text, or nil if it is not of
// the type.
var partitionTypes = []func(text string) arrow.Array{wholePartition, floatPartition, datePartition, timePartition, textPartition}

func wholePartition(text string) arrow.Array {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text[0] == '+' {
		return nil
	}
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(v)
	return b.NewArray()
}

func floatPartition(text string) arrow.Array {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "0123456789.-") != "" {
		return nil
	}
	b := array.NewFloat64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(v)
	return b.NewArray()
}

func datePartition(text string) arrow.Array {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil
	}
	b := array.NewDate32Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(arrow.Date32FromTime(t))
	return b.NewArray()
}

func timePartition(text string) arrow.Array {
	t, err := time.Parse(time.DateTime, text) // a fraction of a second is read as well
	if err != nil {
		return nil
	}
	b := array.NewTimestampBuilder(memory.DefaultAllocator, arrow.FixedWidthTypes.Timestamp_us.(*arrow.TimestampType))
	defer b.Release()
	b.Append(arrow.Timestamp(t.UnixMicro()))
	return b.NewArray()
}

func textPartition(text string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.Append(text)
	return b.NewArray()
}
