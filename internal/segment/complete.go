package segment

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"iterable-segment-export/internal/storage"
)

// pending returns the signs in a listing that a job has not committed its output.
func pending(notes []storage.Object) (signs []string) {
	for _, n := range notes {
		base := path.Base(n.Name)
		if strings.HasPrefix(base, "_started_") || strings.HasPrefix(base, "_committed_") {
			continue // of another protocol
		}
		who := "a Hadoop or Spark job"
		if strings.Contains(n.Name, ".spark-staging-") {
			who = "a Spark job"
		}
		signs = append(signs, fmt.Sprintf("%s has not committed what it writes (%s)", who, n.Name))
	}
	return signs
}

// Located returns the files of the segment.
func (s *Segment) Located() *Located { return s.located }

// Writing returns the signs that a program has not finished writing the files.
func (l *Located) Writing() []string { return l.writing }

// Table reports whether the source is a version of a table, which is complete.
func (l *Located) Table() bool { return l.table != nil }

// Version is that of the table.
func (l *Located) Version() int64 { return l.table.Version }

// Newest returns the name and the time of the file that was written last.
func (l *Located) Newest() (name string, at time.Time) { return newest(l.objects) }

// LastChange returns the name of the file that was written or copied last, and when.
func (l *Located) LastChange() (name string, at time.Time) {
	for _, o := range l.objects {
		if o.Changed.After(at) {
			name, at = o.Name, o.Changed
		}
	}
	return name, at
}

func newest(objects []storage.Object) (name string, at time.Time) {
	for _, o := range objects {
		if o.ModTime.After(at) {
			name, at = o.Name, o.ModTime
		}
	}
	return name, at
}

// Listing returns a hash of the names, sizes and times of the files.
func (l *Located) Listing() string {
	sum := sha256.New()
	for _, o := range l.objects {
		fmt.Fprintf(sum, "%q %d %d %q\n", o.Name, o.Size, o.ModTime.UnixNano(), o.ETag)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// digits are the numbers in a name.
var digits = regexp.MustCompile(`\d+`)

// leastGap is how much older than the newest files leftovers are: no job takes a pause of
// an hour between two files of one export.
const leastGap = time.Hour

// Leftovers describes files that a larger export seems to have left behind before the
// newest one: names with the highest numbers whose files are clearly older than all with
// lower ones. Writers that number their files, such as COPY INTO of Snowflake, EXPORT DATA
// of BigQuery or pyarrow's write_dataset, replace the first ones and leave the others. It
// returns "" if there are none.
func (l *Located) Leftovers() string {
	if l.table != nil {
		return ""
	}
	series := map[string][]storage.Object{} // by the name without its numbers
	for _, o := range l.objects {
		template := path.Join(path.Dir(o.Name), digits.ReplaceAllString(path.Base(o.Name), "#"))
		series[template] = append(series[template], o)
	}
	old, age := 0, time.Duration(0)
	for _, s := range series {
		n, gap := leftovers(s)
		old, age = old+n, max(age, gap)
	}
	if old == 0 {
		return ""
	}
	verb := "are"
	if old == 1 {
		verb = "is"
	}
	return fmt.Sprintf("%d of %d files %s %s older than the newest", old, len(l.objects), verb, roughly(age))
}

// leftovers returns how many of the last files of a series are older than all before them,
// and by how much.
func leftovers(series []storage.Object) (n int, age time.Duration) {
	slices.SortFunc(series, func(a, b storage.Object) int { return slices.Compare(numbers(a), numbers(b)) })
	latest := make([]time.Time, len(series)) // of a file and all after it
	for i := len(series) - 1; i >= 0; i-- {
		if latest[i] = series[i].ModTime; i+1 < len(series) && latest[i+1].After(latest[i]) {
			latest[i] = latest[i+1]
		}
	}
	var from, to time.Time // of the files before one
	for i, o := range series {
		if i > 0 && from.Sub(latest[i]) > max(leastGap, 2*to.Sub(from)) {
			return len(series) - i, to.Sub(latest[i])
		}
		if i == 0 || o.ModTime.Before(from) {
			from = o.ModTime
		}
		if o.ModTime.After(to) {
			to = o.ModTime
		}
	}
	return 0, 0
}

// numbers are those in the name of a file.
func numbers(o storage.Object) (out []uint64) {
	for _, d := range digits.FindAllString(path.Base(o.Name), -1) {
		n, _ := strconv.ParseUint(d, 10, 64) // the largest number where it is larger
		out = append(out, n)
	}
	return out
}

// roughly returns a duration in words, such as "a day" or "3 hours".
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		one, many string
		of        time.Duration
	}{{"a day", "days", 24 * time.Hour}, {"an hour", "hours", time.Hour}} {
		switch n := (d + unit.of/2) / unit.of; {
		case n == 1 && d >= unit.of*9/10:
			return unit.one
		case n > 1:
			return fmt.Sprintf("%d %s", n, unit.many)
		}
	}
	return d.Round(time.Minute).String()
}
