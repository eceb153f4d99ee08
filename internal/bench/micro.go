package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"iterable-segment-export/internal/batch"
	"iterable-segment-export/internal/email"
)

// addresses are as a segment has them: most of them good, some in capitals, with
// blanks around them, or none at all.
var addresses = []string{
	"ann.bell@example.com", "Bob.Carter@Example.ORG", "c@mail.example.co.uk", "dora+news@example.net",
	"erik.lindstrom.1987@example.se", "  FRIEDA.MOELLER@EXAMPLE.DE ", "no-address", "gil@example..com",
}

func (l *lab) address(context.Context) error {
	raws := make([][]byte, len(addresses))
	for i, a := range addresses {
		raws[i] = []byte(a)
	}
	buf := make([]byte, 0, 512)
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			email.Normalize(raws[i%len(raws)], buf, email.Options{})
		}
	})
	l.add(Figure{
		Scenario: "address", What: "validating an address, on one core", Measured: float64(r.N) / r.T.Seconds() / 1e6, Unit: "million/s",
		Target: 5, AtLeast: true, Note: fmt.Sprintf("%d allocations each", r.AllocsPerOp()),
	})
	return nil
}

// batchRows is how many profiles a request has by default.
const batchRows = 1000

func (l *lab) body(context.Context) error {
	b, subscribers, err := stagedBatch()
	if err != nil {
		return err
	}
	defer b.Release()
	var dst []byte
	ours := testing.Benchmark(func(t *testing.B) {
		t.ReportAllocs()
		for range t.N {
			dst = batch.AppendSubscribe(dst[:0], b, 0, b.Len(), batch.BodyOptions{ListID: 1})
		}
	})
	var failed error
	theirs := testing.Benchmark(func(t *testing.B) {
		for range t.N {
			if _, err := json.Marshal(map[string]any{"listId": 1, "subscribers": subscribers}); err != nil {
				failed = err
			}
		}
	})
	l.add(Figure{
		Scenario: "body", What: "writing the body of 1,000 profiles with 8 fields: times faster than encoding/json of a map",
		Measured: float64(theirs.NsPerOp()) / float64(ours.NsPerOp()), Unit: "×", Target: 10, AtLeast: true,
		Note: fmt.Sprintf("%.0f µs, %.0f MB/s, %d allocations a body", float64(ours.NsPerOp())/1e3, float64(len(dst))/float64(ours.NsPerOp())*1e3, ours.AllocsPerOp()),
	})
	return failed
}

// stagedBatch is a batch as staging writes it, and the same people as maps.
func stagedBatch() (*batch.Batch, []any, error) {
	var file bytes.Buffer
	w, err := batch.NewWriter(&file, batch.Limits{Profiles: batchRows, BodyBytes: 4 << 20}, batch.Options{})
	if err != nil {
		return nil, nil, err
	}
	subscribers := make([]any, batchRows)
	for i := range subscribers {
		fields := map[string]any{
			"FirstName": "Kari", "LastName": "Nordmann", "City": "Tromsø", "Country": "NO", "Age": 20 + i%60,
			"LifetimeValue": float64(i) + 0.25, "Subscribed": i%2 == 0, "CreatedAt": "2026-03-01 12:00:00 +00:00",
		}
		data, err := json.Marshal(fields)
		if err != nil {
			return nil, nil, err
		}
		address := fmt.Sprintf("person.%d@example.com", i)
		p := batch.Profile{Email: []byte(address), DataFields: data, Row: int64(i)}
		p.Key, p.Fields = batch.KeyHash(p.Email, nil, "email"), batch.FieldsHash(0, p.Email, nil, data)
		if err := w.Append(p); err != nil {
			return nil, nil, err
		}
		subscribers[i] = map[string]any{"email": address, "dataFields": fields}
	}
	if err := w.Close(); err != nil {
		return nil, nil, err
	}
	f, err := batch.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		return nil, nil, err
	}
	if f.Batches() != 1 {
		return nil, nil, errors.New("the profiles do not fit into one request")
	}
	b, err := f.Batch(0)
	return b, subscribers, err
}
