package generate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iterable-segment-export/internal/email"
	"iterable-segment-export/schemas"
)

// TestTheDigestIsThatOfTheSortedList: the plan lists people in the order of
// their addresses without sorting them; here they are sorted.
func TestTheDigestIsThatOfTheSortedList(t *testing.T) {
	for _, rows := range []int64{0, 1, 2, 3, 10, 100, 3364, 3365, 12_345} {
		for _, bad := range []float64{0, 0.02, 0.5, 1} {
			want, dir := make1(t, Options{Rows: rows, Files: 2, Format: Arrow, Bad: bad, Seed: rows, Version: 3, Churn: 0.4})
			var list []string
			if rows > 0 {
				got, valid := judge(t, dir)
				list = slices.Sorted(maps.Keys(valid))
				if got.Rows != rows || got.Duplicates != want.Duplicates || !maps.Equal(got.Rejected, want.Rejected) {
					t.Errorf("%d rows, %v bad: found %+v, expected %+v", rows, bad, got, want)
				}
			}
			sum := sha256.Sum256([]byte(strings.Join(list, "\n")))
			if int64(len(list)) != want.Valid || hex.EncodeToString(sum[:]) != want.Digest {
				t.Errorf("%d rows, %v bad: %d people, digest %x; expected %+v", rows, bad, len(list), sum, want)
			}
		}
	}
}

func TestEachVersionExchangesTheShare(t *testing.T) {
	var was map[string]bool
	for version := 1; version <= 4; version++ {
		e, dir := make1(t, Options{Rows: 1000, Format: Arrow, Bad: 0.1, Seed: 5, Version: version, Churn: 0.3})
		_, is := judge(t, dir)
		var joined, left int64
		for address := range is {
			if version > 1 && !was[address] {
				joined++
			}
		}
		for address := range was {
			if !is[address] {
				left++
			}
		}
		// 890 rows have profiles that may leave: neither bad nor duplicates.
		want := int64(267)
		if version == 1 {
			want = 0
		}
		if joined != want || left != want || e.Joined != want || e.Left != want {
			t.Errorf("version %d: %d joined, %d left; expected %d, and %+v said so", version, joined, left, want, e)
		}
		was = is
	}
}

func TestABadAddressIsBadForItsReason(t *testing.T) {
	for reason, forms := range badForms {
		for _, form := range forms {
			raw := form
			if strings.Contains(form, "%s") {
				raw = fmt.Sprintf(form, "ann.bell0123")
			}
			if _, got := email.Normalize([]byte(raw), nil, email.Options{}); got != reason {
				t.Errorf("%q is rejected as %q, expected %q", raw, got, reason)
			}
		}
	}
	for _, reason := range badKinds {
		if len(badForms[reason]) == 0 {
			t.Errorf("there is no bad address for %q", reason)
		}
	}
}

func TestUntidyAddressesAreThere(t *testing.T) {
	_, dir := make1(t, Options{Rows: 5000, Seed: 1})
	var capitals, spaces, international int
	for _, raw := range read(t, dir) {
		switch trimmed := bytes.TrimSpace(raw); {
		case len(trimmed) != len(raw):
			spaces++
		case !bytes.Equal(bytes.ToLower(raw), raw):
			capitals++
		case bytes.Contains(raw, []byte("ü")):
			international++
		}
	}
	if capitals < 100 || spaces < 50 || international < 10 {
		t.Errorf("%d addresses have capitals, %d white space, %d international domains", capitals, spaces, international)
	}
}

func TestShuffleIsAPermutation(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 63, 64, 65, 1000, 4096} {
		s := newShuffle(n, seeded(n))
		met := make([]bool, n)
		for i := range n {
			v := s.at(i)
			if v >= n || met[v] || s.place(v) != i {
				t.Fatalf("%d of %d became %d, met before or not in its place %d", i, n, v, s.place(v))
			}
			met[v] = true
		}
	}
}

func TestAFolderWithOtherFilesIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, o := range []struct {
		files int
		ok    bool
	}{{2, true}, {2, true}, {3, true}, {2, false}} {
		_, err := Segment(t.Context(), Options{Rows: 10, Out: dir, Files: o.files})
		if (err == nil) != o.ok {
			t.Errorf("%d files: %v", o.files, err)
		}
	}
}

func TestACancelledSegmentLeavesNoFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := Segment(ctx, Options{Rows: 10 * batchRows, Out: dir}); err == nil {
		t.Error("there is no error")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	hidden, err2 := os.ReadDir(dir)
	if err != nil || err2 != nil || len(left)+len(hidden) > 0 {
		t.Errorf("%v and %v are left, %v, %v", left, hidden, err, err2)
	}
}

// TestDuplicatesComeLater: the row that is sent stands before its duplicates.
func TestDuplicatesComeLater(t *testing.T) {
	p := newPlan(Options{Rows: 20_000, Bad: 0.1, Seed: 2, Version: 2, Churn: 0.1})
	met := map[person]bool{}
	for i := range p.rows {
		switch r := p.row(i); r.reason {
		case "":
			if met[r.person] {
				t.Fatalf("row %d has an earlier row's person", i)
			}
			met[r.person] = true
		case schemas.ReasonDuplicate:
			if !met[r.person] {
				t.Fatalf("row %d is no duplicate", i)
			}
		}
	}
}
