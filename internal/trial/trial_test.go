package trial

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

func openRoot(t *testing.T) *storage.Root {
	t.Helper()
	root, err := storage.OpenRoot(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// TestPeople are found by any identifier of a row, in any spelling that means the same.
func TestPeople(t *testing.T) {
	root := openRoot(t)
	ids, err := Check([]string{" Ann@Example.com ", "u1", "nobody@example.con", "not an address", "gone@example.com", "u9", "u1"})
	if err != nil {
		t.Fatal(err)
	}
	name, err := Keep(t.Context(), root, "marketing", "Spring (trial)", ids)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(t.Context(), root, "marketing", "Spring (trial)", name)
	if err != nil {
		t.Fatal(err)
	}
	for row, want := range map[[3]string]bool{
		{"ann@example.com"}: true, {"bob@example.com", "u1"}: true, {"bob@example.com", "u2"}: false, {"", "U1"}: false,
		{"", "", " Nobody@Example.CON"}: true, {"", "", " not an address "}: true, {"", "", "other"}: false, {}: false,
	} {
		if got := p.Has([]byte(row[0]), []byte(row[1]), []byte(row[2])); got != want {
			t.Errorf("%q: %v", row, got)
		}
	}
	var missing []string
	err = p.Missing(func(address, userID []byte) error {
		missing = append(missing, string(address)+"/"+string(userID))
		return nil
	})
	if want := []string{"gone@example.com/", "/u9"}; err != nil || !slices.Equal(missing, want) {
		t.Errorf("missing: %q, want %q, %v", missing, want, err)
	}
	for range 2 { // a retry
		if err := Delete(t.Context(), root, "marketing", "Spring (trial)", name); err != nil {
			t.Error(err)
		}
	}
	if _, err := Read(t.Context(), root, "marketing", "Spring (trial)", name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after it was deleted: %v", err)
	}
}

// TestEveryNameIsFound that a row has, also in several spellings of one address.
func TestEveryNameIsFound(t *testing.T) {
	p := newPeople([]string{"Ann@X.com", "ann@x.com", "u1", "Gone@x.com", "gone@x.com"})
	if !p.Has([]byte("ann@x.com"), []byte("u1")) {
		t.Error("the row is not found")
	}
	var missing []string
	err := p.Missing(func(address, userID []byte) error {
		missing = append(missing, string(address)+"/"+string(userID))
		return nil
	})
	if want := []string{"gone@x.com/"}; err != nil || !slices.Equal(missing, want) {
		t.Errorf("missing: %q, want %q, %v", missing, want, err)
	}
}

// TestTooManyPeople are refused by the first that is too many: not every one of a large request is
// looked at.
func TestTooManyPeople(t *testing.T) {
	people := make([]string, 0, 200_000)
	for i := range schemas.MostTried + 1 {
		people = append(people, strconv.Itoa(i))
	}
	_, err := Check(people[:cap(people)]) // the rest are empty, which is another error
	if err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("the error is %v", err)
	}
}

// TestCheck refuses what can't be tried, without quoting it.
func TestCheck(t *testing.T) {
	for _, people := range [][]string{{"ann@example.com", " "}, {strings.Repeat("quetzal", 200)}, slices.Repeat([]string{""}, 3)} {
		if _, err := Check(people); err == nil || strings.Contains(err.Error(), "quetzal") || strings.Contains(err.Error(), "ann") {
			t.Errorf("%.40q: %v", people, err)
		}
	}
	var many []string
	for i := range 1001 {
		many = append(many, strings.Repeat("x", i+1))
	}
	if _, err := Check(many[:1000]); err != nil {
		t.Error(err)
	}
	if _, err := Check(many); err == nil {
		t.Error("1,001 people are accepted")
	}
}

// TestSum differs between data roots, and is the same in one.
func TestSum(t *testing.T) {
	a, b := openRoot(t), openRoot(t)
	sum := func(root *storage.Root, text string) []byte {
		s, err := Sum(t.Context(), root, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := sum(a, "ann@example.com")
	if !bytes.Equal(first, sum(a, "ann@example.com")) || bytes.Equal(first, sum(b, "ann@example.com")) || bytes.Equal(first, sum(a, "bob@example.com")) {
		t.Error("a sum is of its text and its data root")
	}
}
