package batch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"
)

// eightFields is a profile with eight data fields.
func eightFields(i int) Profile {
	return Profile{
		Email: fmt.Appendf(nil, "person.%d@example.com", i),
		DataFields: fmt.Appendf(nil, `{"customerId":%d,"firstName":"Kari","lastName":"Nordmann","city":"Tromsø","ltv":%d.25,"active":true,`+
			`"lastOrder":"2024-03-01 12:00:00 +00:00","tags":["a","b"]}`, i, i%1000),
		Row: int64(i),
	}.hashed()
}

func BenchmarkAppend(b *testing.B) {
	profiles := make([]Profile, 4096)
	for i := range profiles {
		profiles[i] = eightFields(i)
	}
	w, err := NewWriter(io.Discard, generous, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := range b.N {
		if err := w.Append(profiles[i%len(profiles)]); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(w.Bytes() / int64(b.N))
}

// BenchmarkBody writes the body of a request of 1,000 profiles with eight fields.
func BenchmarkBody(b *testing.B) {
	profiles := make([]Profile, 1000)
	for i := range profiles {
		profiles[i] = eightFields(i)
	}
	staged := stage(b, generous, Options{}, profiles...)
	batch, err := open(b, staged).Batch(0)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			dst = subscribe(dst[:0], batch, 0, batch.Len(), BodyOptions{ListID: 1})
		}
		b.SetBytes(int64(len(dst)))
	})
	b.Run("encoding-json-map", func(b *testing.B) {
		subscribers := make([]any, len(profiles))
		for i, p := range profiles {
			var data map[string]any
			if err := json.Unmarshal(p.DataFields, &data); err != nil {
				b.Fatal(err)
			}
			subscribers[i] = map[string]any{"email": string(p.Email), "dataFields": data}
		}
		b.ReportAllocs()
		for b.Loop() {
			body, err := json.Marshal(map[string]any{"listId": 1, "subscribers": subscribers, "updateExistingUsersOnly": false})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
		}
	})
}

func BenchmarkReadBatch(b *testing.B) {
	profiles := make([]Profile, 1000)
	for i := range profiles {
		profiles[i] = eightFields(i)
	}
	staged := stage(b, generous, Options{}, profiles...)
	f, err := Open(bytes.NewReader(staged), int64(len(staged)))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(staged)))
	b.ReportAllocs()
	for b.Loop() {
		batch, err := f.Batch(0)
		if err != nil {
			b.Fatal(err)
		}
		batch.Release()
	}
}

func BenchmarkHashes(b *testing.B) {
	p := eightFields(1)
	b.ReportAllocs()
	for b.Loop() {
		p.Key = KeyHash(p.Email, nil, "email")
		p.Fields = FieldsHash(0, p.Email, nil, p.DataFields)
	}
}
