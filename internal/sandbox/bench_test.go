package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// bodies gives subscribe requests as an export of eight fields makes them.
func bodies(requests, rows int, fields bool) [][]byte {
	out := make([][]byte, requests)
	for r := range out {
		var b bytes.Buffer
		fmt.Fprint(&b, `{"listId":1,"subscribers":[`)
		for i := range rows {
			n := r*rows + i
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"email":"firstname.lastname%d@example.com"`, n)
			if fields {
				fmt.Fprintf(&b, `,"dataFields":{"firstName":"Firstname","lastName":"Lastname%d","city":"Trondheim","lifetimeValue":%d.25,`+
					`"orders":%d,"newsletter":true,"lastOrder":"2026-01-02 03:04:05 +00:00","segment":"gold"}`, n, n%1000, n%50)
			}
			b.WriteByte('}')
		}
		fmt.Fprint(&b, `]}`)
		out[r] = b.Bytes()
	}
	return out
}

func BenchmarkReadBatch(b *testing.B) {
	for _, rows := range []int{1000, 10000} {
		for _, fields := range []bool{false, true} {
			b.Run(fmt.Sprintf("rows=%d/fields=%v", rows, fields), func(b *testing.B) {
				body := bodies(1, rows, fields)[0]
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					read, err := readBatch(body, true)
					if err != nil {
						b.Fatal(err.Msg)
					}
					read.release()
				}
			})
		}
	}
}

// BenchmarkSubscribeMillion sends a million profiles of eight fields, 1,000 a
// request, five at once, over loopback; the client's side is in the figures.
func BenchmarkSubscribeMillion(b *testing.B) {
	all := bodies(1000, 1000, true)
	for b.Loop() {
		s := New(Config{})
		s.newList(s.projects["sandbox"], "l", "", listStandard)
		h := httptest.NewServer(s)
		work := make(chan []byte)
		done := make(chan error)
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 5}}
		for range 5 {
			go func() {
				var failed error
				for body := range work {
					r, _ := http.NewRequest("POST", h.URL+"/api/lists/subscribe", bytes.NewReader(body))
					r.Header.Set("Api-Key", DefaultKey)
					resp, err := client.Do(r)
					if err != nil {
						failed = err
						continue
					}
					if resp.StatusCode != 200 {
						failed = fmt.Errorf("status %d", resp.StatusCode)
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				done <- failed
			}()
		}
		for _, body := range all {
			work <- body
		}
		close(work)
		for range 5 {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		h.Close()
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/million")
}
