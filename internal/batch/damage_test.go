package batch

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestDamage(t *testing.T) {
	staged := stage(t, Limits{2, 10_000}, Options{}, person(0), person(1), person(2), person(3))
	whole := contents(staged)
	if whole == "" {
		t.Fatal("the undamaged file can't be read")
	}
	for size := range staged {
		if contents(staged[:size]) != "" {
			t.Errorf("the file cut to %d of %d bytes is read without an error", size, len(staged))
		}
	}
	for i := range staged {
		damaged := bytes.Clone(staged)
		damaged[i] ^= 0x41
		if got := contents(damaged); got != "" && got != whole {
			t.Errorf("with byte %d changed the file reads otherwise, without an error", i)
		}
	}
}

// contents is every body of a staged file, or "" where it has an error.
func contents(staged []byte) string {
	f, err := Open(bytes.NewReader(staged), int64(len(staged)))
	if err != nil {
		return ""
	}
	defer f.Close()
	var all []byte
	for k := range f.Batches() {
		b, err := f.Batch(k)
		if err != nil {
			return ""
		}
		all = append(all, subscribe(nil, b, 0, b.Len(), BodyOptions{})...)
		b.Release()
	}
	return string(all)
}

func FuzzOpen(f *testing.F) {
	f.Add(stage(f, Limits{2, 10_000}, Options{}, person(0), person(1), person(2)))
	f.Add(stage(f, Limits{2, 10_000}, Options{}))
	f.Fuzz(func(t *testing.T, staged []byte) { contents(staged) })
}

// FuzzBatch damages record batches only, which the footer's checksum does not
// cover, so that Arrow gets to see them.
func FuzzBatch(f *testing.F) {
	staged := stage(f, Limits{2, 10_000}, Options{}, person(0), person(1), person(2))
	whole := contents(staged)
	for at := uint16(400); at < 1600; at += 8 {
		f.Add(at, []byte{0xff, 0xff, 0xff, 0x7f})
	}
	f.Fuzz(func(t *testing.T, at uint16, patch []byte) {
		end := footerLength(staged[len(staged)-footerEnd:])
		batches := len(staged) - footerEnd - int(end) - trailerFixed
		damaged := bytes.Clone(staged)
		if int(at) < batches {
			copy(damaged[at:batches], patch)
		}
		if got := contents(damaged); got != "" && got != whole {
			t.Error("damaged batches are read otherwise, without an error")
		}
	})
}

func FuzzBodySize(f *testing.F) {
	f.Add([]byte("a@example.com"), []byte("id\x00\u2028\xff\"\\\n"), []byte(`{"a":1}`), int64(1), byte(0))
	f.Add([]byte(""), []byte("id\b\f\r\t\x7f"), []byte(``), int64(-1), byte(7))
	f.Fuzz(func(t *testing.T, email, userID, data []byte, listID int64, flags byte) {
		if len(email) == 0 && len(userID) == 0 {
			return
		}
		var object map[string]any
		var tight bytes.Buffer // as the mapping writes it
		if json.Unmarshal(data, &object) != nil || object == nil || json.Compact(&tight, data) != nil {
			tight.Reset()
		}
		data = tight.Bytes()
		p := Profile{Email: email, UserID: userID, DataFields: data}
		o := Options{
			Body:        BodyOptions{listID, flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&16 != 0},
			Unsubscribe: flags&8 != 0,
		}
		b, err := open(t, stage(t, Limits{2, 1 << 20}, o, p, p)).Batch(0)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Release()
		write := func(to int) []byte {
			if o.Unsubscribe {
				return unsubscribed(nil, b, 0, to, o.Body)
			}
			return subscribe(nil, b, 0, to, o.Body)
		}
		one, two := write(1), write(2)
		if len(one) != bodySize(p, o) || !json.Valid(one) || !json.Valid(two) {
			t.Errorf("a body of %d bytes was measured as %d", len(one), bodySize(p, o))
		}
		if m := newMeasure(o); len(two) != m.envelope+2*m.profile(p)+1 {
			t.Errorf("a body of two has %d bytes", len(two))
		}
		var parsed struct {
			Subscribers []struct{ Email, UserID string }
		}
		if err := json.Unmarshal(two, &parsed); err != nil || len(parsed.Subscribers) != 2 {
			t.Fatal(err, len(parsed.Subscribers))
		}
		if want := strings.ToValidUTF8(string(userID), "\ufffd"); strings.Count(want, "\ufffd") == strings.Count(string(userID), "\ufffd") && parsed.Subscribers[1].UserID != want && (o.Body.ByUserID || len(email) == 0) {
			t.Error("the user id comes back otherwise")
		}
	})
}
