package columnar

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// TestTextsAreCheckedOnce: with any offsets that TextsOf accepts, At stays within the data.
func TestTextsAreCheckedOnce(t *testing.T) {
	for _, c := range []struct {
		offsets  []int32
		data     string
		from, to int
		want     string // the texts, or what is wrong
	}{
		{[]int32{0, 1, 1, 3}, "abc", 0, 3, "a||bc"},
		{[]int32{0, 1, 1, 3}, "abc", 1, 3, "|bc"},
		{[]int32{0, 1}, "a", 1, 1, ""},
		{[]int32{0, 2, 1}, "abc", 0, 2, "overlap"},
		{[]int32{-1, 2, 2}, "abc", 0, 2, "overlap"},
		{[]int32{0, 2, 4}, "abc", 0, 2, "longer than its data"},
		{[]int32{0, 2}, "abc", 0, 2, "each of its 2 rows"},
		{[]int32{0, 2, 3}, "abc", 1, 3, "each of its 2 rows"},
	} {
		data := array.NewData(arrow.BinaryTypes.String, c.to-c.from, []*memory.Buffer{nil,
			memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.offsets)), memory.NewBufferBytes([]byte(c.data))}, nil, 0, c.from)
		texts, err := TextsOf[int32](data)
		var got []string
		for i := range c.to - c.from {
			if err == nil {
				got = append(got, string(texts.At(i)))
			}
		}
		if text := strings.Join(got, "|"); err == nil && text != c.want || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v of %q from %d: %q, %v; want %q", c.offsets, c.data, c.from, text, err, c.want)
		}
	}
}

// TestBudgetsHaveTheirOwnLimit: what is allocated between two resets is bounded as a whole, and a
// file of a segment also says what to do.
func TestBudgetsHaveTheirOwnLimit(t *testing.T) {
	small, large := NewBudget(3<<20), NewBudget(6<<20)
	allocate := func(b *Budget) (err error) {
		defer Guard(&err)
		b.Allocate(2 << 20)
		return nil
	}
	for range 2 {
		small.Reset()
		if err := allocate(small); err != nil {
			t.Error(err)
		}
	}
	err := allocate(small)
	if err == nil || err.Error() != "it needs more than 3 MB of memory for one batch of rows" {
		t.Error(err)
	}
	if err := errors.Join(allocate(large), allocate(large), allocate(large)); err != nil {
		t.Error(err)
	}
	if told := AsError("x", err).Error(); !strings.Contains(told, "3 MB") || !strings.Contains(told, "smaller row groups") {
		t.Error(told)
	}
}

func TestAPanicIsAnError(t *testing.T) {
	damaged := func() (err error) {
		defer Guard(&err)
		panic("index out of range")
	}
	if err := damaged(); err == nil || err.Error() != "it can't be decoded: index out of range" {
		t.Error(err)
	}
	if told := AsError("x", damaged()).Error(); !strings.HasPrefix(told, "file x: it can't be decoded: index out of range; it is damaged, or") {
		t.Error(told)
	}
}
