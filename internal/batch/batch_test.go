package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/ipc"

	"iterable-segment-export/schemas"
)

var generous = Limits{Profiles: 1000, BodyBytes: 3_900_000}

// person makes a profile that reads like a real one.
func person(i int) Profile {
	p := Profile{
		Email:      fmt.Appendf(nil, "person.%d@example.com", i),
		UserID:     fmt.Appendf(nil, "C-%d", i),
		DataFields: fmt.Appendf(nil, `{"n":%d,"city":"Tromsø"}`, i),
		File:       int32(i % 3),
		Row:        int64(i) << 20,
	}
	switch i % 4 {
	case 1:
		p.UserID = nil
	case 2:
		p.Email = nil
	case 3:
		p.DataFields = nil
	}
	return p.hashed()
}

func (p Profile) hashed() Profile {
	p.Key = KeyHash(p.Email, p.UserID, schemas.ProjectHybrid)
	p.Fields = FieldsHash(0, p.Email, p.UserID, p.DataFields)
	return p
}

func stage(t testing.TB, limits Limits, o Options, profiles ...Profile) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, limits, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range profiles {
		if err := w.Append(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Bytes() != int64(out.Len()) || w.Rows() != int64(len(profiles)) {
		t.Errorf("the writer counts %d bytes and %d rows, there are %d and %d", w.Bytes(), w.Rows(), out.Len(), len(profiles))
	}
	return out.Bytes()
}

func open(t testing.TB, staged []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(staged), int64(len(staged)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRoundTrip(t *testing.T) {
	const n, perBatch = 32_500, 10
	profiles := make([]Profile, n)
	for i := range profiles {
		profiles[i] = person(i)
	}
	f := open(t, stage(t, Limits{perBatch, 100_000}, Options{}, profiles...))
	if f.Batches() != n/perBatch {
		t.Fatalf("%d batches instead of %d", f.Batches(), n/perBatch)
	}
	for k := f.Batches() - 1; k >= 0; k-- {
		b, err := f.Batch(k)
		if err != nil {
			t.Fatal(err)
		}
		if b.Len() != perBatch {
			t.Fatalf("batch %d has %d rows", k, b.Len())
		}
		for i := range b.Len() {
			want := profiles[k*perBatch+i]
			got := Profile{b.Email(i), b.UserID(i), b.DataFields(i), b.File(i), b.Row(i), b.Key(i), b.Fields(i)}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("batch %d row %d is %v instead of %v", k, i, got, want)
			}
		}
		b.Release()
	}
}

// TestRecycledMemory: batches of several sizes read the same from memory that others have had, of
// which much less is allocated.
func TestRecycledMemory(t *testing.T) {
	const n, perBatch = 2_000, 50
	var profiles []Profile
	for i := range n {
		p := person(i)
		p.DataFields = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 7_919*i%997+i/perBatch%7*100))
		profiles = append(profiles, p.hashed())
	}
	staged := stage(t, Limits{perBatch, 1_000_000}, Options{}, profiles...)
	read := func(f *File) (allocated uint64) {
		var before, after runtime.MemStats
		for k := range f.Batches() {
			runtime.ReadMemStats(&before)
			b, err := f.Batch(k)
			if err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			allocated += after.TotalAlloc - before.TotalAlloc
			for i := range b.Len() {
				want := profiles[k*perBatch+i]
				got := Profile{b.Email(i), b.UserID(i), b.DataFields(i), b.File(i), b.Row(i), b.Key(i), b.Fields(i)}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("batch %d row %d is %v instead of %v", k, i, got, want)
				}
			}
			b.Release()
		}
		return allocated
	}
	fresh, recycling := open(t, staged), open(t, staged)
	recycling.Recycle()
	if new, again := read(fresh), read(recycling); again > new/2 {
		t.Errorf("%d bytes instead of %d", again, new)
	}
	if n := len(recycling.memory.free); n > mostFree {
		t.Errorf("%d pieces are free", n)
	}
}

func TestArrowReadsTheStagedFile(t *testing.T) {
	staged := stage(t, Limits{2, 10_000}, Options{}, person(0), person(1), person(2))
	r, err := ipc.NewFileReader(bytes.NewReader(staged), ipc.WithSchema(schemas.StagedSchema))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows := int64(0)
	for {
		rec, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows += rec.NumRows()
	}
	if rows != 3 {
		t.Errorf("a plain Arrow reader finds %d rows", rows)
	}
}

func TestNothingStaged(t *testing.T) {
	f := open(t, stage(t, generous, Options{}))
	if f.Batches() != 0 {
		t.Errorf("%d batches of nothing", f.Batches())
	}
	if _, err := f.Batch(0); err == nil {
		t.Error("there is a batch 0")
	}
}

// TestBatchesFillTheBody checks that no body exceeds the limit, and that the next profile would
// not have fit.
func TestBatchesFillTheBody(t *testing.T) {
	o := Options{Body: BodyOptions{ListID: 42, PreferUserID: true}}
	var profiles []Profile
	for i := range 200 {
		p := person(i)
		p.DataFields = fmt.Appendf(nil, `{"s":"%s"}`, strings.Repeat("x", i*7%300))
		profiles = append(profiles, p)
	}
	for _, limit := range []int{500, 511, 777, 1024, 4000} {
		f := open(t, stage(t, Limits{1000, limit}, o, profiles...))
		at := 0
		for k := range f.Batches() {
			b, err := f.Batch(k)
			if err != nil {
				t.Fatal(err)
			}
			body := subscribe(nil, b, 0, b.Len(), o.Body)
			if len(body) > limit {
				t.Errorf("limit %d: batch %d has a body of %d bytes", limit, k, len(body))
			}
			at += b.Len()
			if at < len(profiles) {
				next := 1 + bodySize(profiles[at], o) - newMeasure(o).envelope
				if len(body)+next <= limit {
					t.Errorf("limit %d: batch %d has %d bytes, and %d more would have fitted", limit, k, len(body), next)
				}
			}
			b.Release()
		}
		if at != len(profiles) {
			t.Errorf("limit %d: %d profiles of %d are there", limit, at, len(profiles))
		}
	}
}

func TestTooLargeLeavesTheWriterAsItWas(t *testing.T) {
	o := Options{}
	fits := person(0)
	limit := bodySize(fits, o)
	over := fits
	over.DataFields = append([]byte(`{"x":1,`), fits.DataFields[1:]...)
	var out bytes.Buffer
	w, err := NewWriter(&out, Limits{10, limit}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    Profile
		want error
	}{{over, ErrTooLarge}, {fits, nil}, {over, ErrTooLarge}, {Profile{}, ErrNoIdentifier}, {fits, nil}} {
		if err := w.Append(c.p); !errors.Is(err, c.want) {
			t.Errorf("appending: %v instead of %v", err, c.want)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f := open(t, out.Bytes())
	if f.Batches() != 2 || w.Batches() != 2 || w.Rows() != 2 || w.BodyBytes() != int64(2*limit) {
		t.Errorf("%d batches in the file; the writer says %d of %d rows and %d bytes", f.Batches(), w.Batches(), w.Rows(), w.BodyBytes())
	}
}

func TestNewWriterRefusesUselessLimits(t *testing.T) {
	for _, l := range []Limits{{0, 1000}, {10, 0}, {10, 40}, {10, maxBodyBytes + 1}} {
		if _, err := NewWriter(io.Discard, l, Options{}); err == nil {
			t.Errorf("%+v are accepted", l)
		}
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

func TestWriteFailure(t *testing.T) {
	for _, after := range []int{0, 300_000, 600_000} {
		w, err := NewWriter(&failing{after}, Limits{100, 1 << 20}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 8000 && err == nil; i++ {
			err = w.Append(person(i))
		}
		if again := w.Close(); again == nil || !strings.Contains(again.Error(), "disk is full") {
			t.Errorf("a writer that fails after %d bytes closes with %v", after, again)
		}
	}
}

// golden bodies, from the project's page on Iterable's API.
func TestBodies(t *testing.T) {
	profiles := []Profile{
		{Email: []byte("a@example.com")},
		{UserID: []byte(`x"y\z`)},
		{Email: []byte("b@example.com"), UserID: []byte("7"), DataFields: []byte(`{"n":1}`)},
	}
	b, err := open(t, stage(t, generous, Options{}, profiles...)).Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	for _, c := range []struct {
		name, got, want string
	}{
		{"plain", string(subscribe(nil, b, 0, 3, BodyOptions{ListID: 9})),
			`{"listId":9,"subscribers":[{"email":"a@example.com"},{"userId":"x\"y\\z"},{"email":"b@example.com","dataFields":{"n":1}}],"updateExistingUsersOnly":false}`},
		{"by user ID", string(subscribe(nil, b, 0, 3, BodyOptions{ListID: 9, ByUserID: true})),
			`{"listId":9,"subscribers":[{"email":"a@example.com"},{"userId":"x\"y\\z"},{"userId":"7","dataFields":{"email":"b@example.com","n":1}}],"updateExistingUsersOnly":false}`},
		{"all settings", string(subscribe(nil, b, 2, 3, BodyOptions{9, true, true, true, false})),
			`{"listId":9,"subscribers":[{"email":"b@example.com","dataFields":{"n":1},"preferUserId":true,"mergeNestedObjects":true}],"updateExistingUsersOnly":true}`},
		{"preferUserId", string(subscribe(nil, b, 0, 1, BodyOptions{ListID: 9, PreferUserID: true})),
			`{"listId":9,"subscribers":[{"email":"a@example.com","preferUserId":true}],"updateExistingUsersOnly":false}`},
		{"mergeNestedObjects", string(subscribe(nil, b, 0, 1, BodyOptions{ListID: 9, MergeNestedObjects: true})),
			`{"listId":9,"subscribers":[{"email":"a@example.com","mergeNestedObjects":true}],"updateExistingUsersOnly":false}`},
		{"unsubscribe", string(unsubscribed(nil, b, 0, 3, BodyOptions{ListID: 9})),
			`{"listId":9,"subscribers":[{"email":"a@example.com"},{"userId":"x\"y\\z"},{"email":"b@example.com"}],"channelUnsubscribe":false}`},
		{"unsubscribe by user ID", string(unsubscribed(nil, b, 2, 3, BodyOptions{ListID: 9, ByUserID: true})),
			`{"listId":9,"subscribers":[{"userId":"7"}],"channelUnsubscribe":false}`},
		{"nobody", string(unsubscribed(nil, b, 1, 1, BodyOptions{ListID: 9})), `{"listId":9,"subscribers":[],"channelUnsubscribe":false}`},
	} {
		if c.got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, c.got, c.want)
		}
	}
}

func TestBodiesDoNotAllocate(t *testing.T) {
	b, err := open(t, stage(t, generous, Options{}, person(0), person(1), person(2), person(3))).Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { dst = subscribe(dst[:0], b, 0, b.Len(), BodyOptions{ListID: 1}) }); n != 0 {
		t.Errorf("%v allocations for a body", n)
	}
}

func TestMatcher(t *testing.T) {
	profiles := []Profile{
		{Email: []byte("a@example.com"), UserID: []byte("Kari")},
		{Email: []byte("b@example.com"), UserID: []byte("kari")},
		{UserID: []byte("Ola")},
		{Email: []byte("a@example.com")},
		{UserID: []byte("ÅSE")},
	}
	b, err := open(t, stage(t, generous, Options{}, profiles...)).Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	m := NewMatcher(b)
	for _, c := range []struct {
		from, to int
		byUserID bool
		name     string
		rows     []int
	}{
		{0, 5, false, "A@Example.com", []int{0, 3}},
		{1, 5, false, "a@example.com", []int{3}},
		{1, 3, false, "a@example.com", nil},
		{0, 5, false, "Kari", nil},
		{0, 5, false, "", nil},
		{0, 5, true, "kari", []int{0, 1}},
		{1, 5, true, "Kari", []int{1}},
		{0, 5, true, "ola", []int{2}},
		{0, 2, true, "ola", nil},
		{0, 5, true, "åse", []int{4}},
		{0, 5, true, "nobody", nil},
	} {
		if rows := m.Find(c.from, c.to, c.byUserID, c.name); !slices.Equal(rows, c.rows) {
			t.Errorf("Find(%d, %d, %t, %q) = %v, want %v", c.from, c.to, c.byUserID, c.name, rows, c.rows)
		}
	}
}

// A body of several batches is that of their rows together, and never over its limit
// but with the rows that came first.
func TestABodyOfSeveralBatches(t *testing.T) {
	profiles := []Profile{{Email: []byte("a@example.com")}, {Email: []byte("b@example.com"), DataFields: []byte(`{"n":1}`)}, {UserID: []byte("u")}}
	file := open(t, stage(t, Limits{1, 1 << 20}, Options{}, profiles...))
	all, err := open(t, stage(t, generous, Options{}, profiles...)).Batch(0)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Release()
	o := BodyOptions{ListID: 9}
	for _, unsubscribe := range []bool{false, true} {
		whole := subscribe(nil, all, 0, 3, o)
		if unsubscribe {
			whole = unsubscribed(nil, all, 0, 3, o)
		}
		for _, most := range []int{1, len(whole) - 1, len(whole)} {
			var body Body
			body.Reset(o, unsubscribe)
			fit := 0
			for k := range 3 {
				b, err := file.Batch(k)
				if err != nil {
					t.Fatal(err)
				}
				if body.Add(b, 0, b.Len(), most) {
					fit++
				}
				b.Release()
			}
			want := map[int]int{1: 1, len(whole) - 1: 2, len(whole): 3}[most]
			got := body.Bytes()
			if fit != want || fit > 1 && len(got) > most || fit == 3 && string(got) != string(whole) || !json.Valid(got) {
				t.Errorf("at most %d bytes: %d batches in %s", most, fit, got)
			}
		}
	}
}

func TestHashes(t *testing.T) {
	b := func(s string) []byte { return []byte(s) }
	if KeyHash(b("x"), b("y"), schemas.ProjectEmail) != KeyHash(b("x"), b("z"), schemas.ProjectEmail) {
		t.Error("the user id counts in an email-based project")
	}
	if KeyHash(b("x"), b("y"), schemas.ProjectUserID) != KeyHash(b("z"), b("y"), schemas.ProjectHybrid) {
		t.Error("the user id does not identify in a userID-based and in a hybrid project")
	}
	if KeyHash(b("x"), nil, schemas.ProjectEmail) != KeyHash(b("x"), nil, schemas.ProjectHybrid) {
		t.Error("the address does not identify in a hybrid project where there is no user id")
	}
	if KeyHash(b("x"), nil, schemas.ProjectEmail) == KeyHash(nil, b("x"), schemas.ProjectUserID) {
		t.Error("an address and a user id that read alike have one key")
	}
	seen := map[uint64]string{}
	for _, f := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "ab", "c"}, {"abc", "", ""}, {"", "", "abc"}} {
		h := FieldsHash(0, b(f[0]), b(f[1]), b(f[2]))
		if seen[h] != "" {
			t.Errorf("%q and %s have one hash", f, seen[h])
		}
		seen[h] = fmt.Sprintf("%q", f)
	}
}

// TestTheMappingIsPartOfTheHash: settings beside the fields change what Iterable does with the
// fields.
func TestTheMappingIsPartOfTheHash(t *testing.T) {
	one, other := MappingSeed("00"), MappingSeed("01")
	if FieldsHash(one, []byte("a"), nil, nil) == FieldsHash(other, []byte("a"), nil, nil) {
		t.Error("two mappings have one hash")
	}
}

// TestHashesStay pins the hashes down: snapshots outlive programs.
func TestHashesStay(t *testing.T) {
	if got := fmt.Sprintf("%x", KeyHash([]byte("a@example.com"), nil, schemas.ProjectEmail)); got != "cb2ff0a727eb40f3e84f44db0152d2d1" {
		t.Errorf("the key of a@example.com is now %s", got)
	}
	if got := fmt.Sprintf("%x", FieldsHash(0, []byte("a@example.com"), []byte("7"), []byte(`{"n":1}`))); got != "585b23d88470468e" {
		t.Errorf("the fields' hash is now %s", got)
	}
}

// subscribe returns the body of a subscribe request for rows from to to-1, in the memory of dst.
func subscribe(dst []byte, b *Batch, from, to int, o BodyOptions) []byte {
	body := Body{bytes: dst}
	body.Reset(o, false)
	body.Add(b, from, to, math.MaxInt)
	return body.Bytes()
}

// unsubscribed returns the body of an unsubscribe request for rows from to to-1.
func unsubscribed(dst []byte, b *Batch, from, to int, o BodyOptions) []byte {
	body := Body{bytes: dst}
	body.Reset(o, true)
	body.Add(b, from, to, math.MaxInt)
	return body.Bytes()
}

// bodySize returns the size of the body with p alone, as the writer measures it.
func bodySize(p Profile, o Options) int {
	m := newMeasure(o)
	return m.envelope + m.profile(p)
}

// TestGroups: a person is in the same group for ever, in each run and version. Two salts make
// independent groups.
func TestGroups(t *testing.T) {
	keys := map[string][16]byte{
		"ann": KeyHash([]byte("ann@example.com"), nil, schemas.ProjectEmail), "bob": KeyHash([]byte("bob@example.com"), nil, schemas.ProjectEmail),
		"eve": KeyHash([]byte("eve@example.org"), nil, schemas.ProjectEmail), "u1": KeyHash(nil, []byte("u1"), schemas.ProjectUserID),
		"u2": KeyHash(nil, []byte("u2"), schemas.ProjectUserID), "both": KeyHash([]byte("ann@example.com"), []byte("u1"), schemas.ProjectHybrid),
	}
	golden := map[string]string{
		"Spring": "ann B, bob B, both B, eve control, u1 B, u2 B",
		"Autumn": "ann A, bob B, both B, eve A, u1 B, u2 control",
	}
	for salt, want := range golden {
		s := schemas.Segment{Name: "Customers", Split: &schemas.Split{Groups: map[string]string{"A": "45%", "B": "45%", "control": "10%"}, Salt: salt}}
		var got []string
		for _, who := range slices.Sorted(maps.Keys(keys)) {
			for _, g := range s.Groups() {
				if InGroup(keys[who], g) {
					got = append(got, who+" "+strings.TrimPrefix(g.List, "Customers/"))
				}
			}
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("salt %q: %s, want %s", salt, text, want)
		}
	}

	// Half of those of a group are in the same one with another salt, and all with the same.
	half := func(salt string) schemas.Group { return schemas.Group{Salt: salt, To: schemas.Whole / 2} }
	in, both, again := 0, 0, 0
	for i := range 10_000 {
		key := KeyHash(fmt.Appendf(nil, "p%d@example.com", i), nil, schemas.ProjectEmail)
		if !InGroup(key, half("Spring")) {
			continue
		}
		if in++; InGroup(key, half("Autumn")) {
			both++
		}
		if InGroup(key, half("Spring")) {
			again++
		}
	}
	if in < 4800 || in > 5200 || both < 2350 || both > 2650 || again != in {
		t.Errorf("%d of 10,000 are in a group of half of them; of these, %d with another salt, and %d with the same", in, both, again)
	}
}
