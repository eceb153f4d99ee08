package storage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob"

	"iterable-segment-export/internal/emulators"
	"iterable-segment-export/internal/generate"
	"iterable-segment-export/internal/segment"
	"iterable-segment-export/internal/storage"
	"iterable-segment-export/schemas"
)

// inBucket generates a Parquet file in an S3 server and inspects one column.
func inBucket(t testing.TB, rows int64) (*emulators.Cloud, *segment.Segment) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "segment")
	if _, err := generate.Segment(t.Context(), generate.Options{Rows: rows, Out: dir, Files: 1, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	c := emulators.S3(t)
	root, err := storage.OpenRoot(t.Context(), c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := root.Write(t.Context(), "x.parquet", data); err != nil {
		t.Fatal(err)
	}
	s, err := segment.Inspect(t.Context(), c.At("x.parquet"), segment.Columns{Email: "EmailAddress"})
	if err != nil {
		t.Fatal(err)
	}
	c.Traffic()
	return c, s
}

// TestDeltaInBuckets reads a Delta table in every cloud, exactly the files of its log,
// and rejects a source inside the table.
func TestDeltaInBuckets(t *testing.T) {
	for cloud, start := range emulators.All() {
		t.Run(cloud, func(t *testing.T) {
			c := start(t)
			dir := filepath.Join(t.TempDir(), "segment")
			if _, err := generate.Segment(t.Context(), generate.Options{Rows: 100, Out: dir, Files: 2, Seed: 1}); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) != 2 {
				t.Fatal(files, err)
			}
			root, err := storage.OpenRoot(t.Context(), c.At("lake/table"))
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			log := `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"EmailAddress\",\"type\":\"string\"},{\"name\":\"p\",\"type\":\"string\"}]}","partitionColumns":["p"]}}
`
			for i, file := range files {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				name := []string{"p=A%2FB c/a.parquet", "p=x/b.parquet"}[i]
				if err := root.Write(t.Context(), name, data); err != nil {
					t.Fatal(err)
				}
				add := map[string]any{"path": strings.ReplaceAll(strings.ReplaceAll(name, "%", "%25"), " ", "%20"), "partitionValues": map[string]string{"p": "A/B c"}, "size": len(data)}
				if i > 0 {
					add["partitionValues"] = map[string]string{"p": "x"}
				}
				line, err := json.Marshal(map[string]any{"add": add})
				if err != nil {
					t.Fatal(err)
				}
				log += string(line) + "\n"
			}
			for v, content := range []string{log, `{"remove":{"path":"p=x/b.parquet"}}`} {
				if err := root.Write(t.Context(), fmt.Sprintf("_delta_log/%020d.json", v), []byte(content)); err != nil {
					t.Fatal(err)
				}
			}
			s, err := segment.Inspect(t.Context(), c.At("lake/table"), segment.Columns{Email: "EmailAddress", Fields: schemas.Fields{All: true}})
			if err != nil {
				t.Fatal(err)
			}
			if rows, _ := readAll(t, s); rows != s.Info().Rows || rows == 0 || s.Info().Table.Version != 1 || len(s.Files()) != 1 || s.Columns[1].Name != "p" {
				t.Errorf("%d rows of %+v in %v", rows, s.Info(), s.Files())
			}
			for _, source := range []string{"lake/table/p=x", "lake", "lake/table/p=x/*.parquet"} {
				if _, err := segment.Inspect(t.Context(), c.At(source), segment.Columns{Email: "EmailAddress"}); err == nil || !strings.Contains(err.Error(), "Delta") {
					t.Errorf("%s: %v", source, err)
				}
			}
		})
	}
}

// TestNamesThatGocloudRewrites reads blobs of Azure with a % in their names, as Hive and
// Delta write them, and notices that one was replaced.
func TestNamesThatGocloudRewrites(t *testing.T) {
	c := emulators.Azure(t)
	bucket, err := blob.OpenBucket(t.Context(), c.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer bucket.Close()
	var client *container.Client
	if !bucket.As(&client) {
		t.Fatal("no client of Azure's")
	}
	put := func(content string) {
		if _, err := client.NewBlockBlobClient("hive/x=A%2FB #1?/a.parquet").UploadBuffer(t.Context(), []byte(content), nil); err != nil {
			t.Fatal(err)
		}
	}
	put("0123456789")
	found, err := storage.List(t.Context(), c.At("hive"))
	if err != nil || len(found) != 1 || found[0].Name != "x=A%2FB #1?/a.parquet" {
		t.Fatalf("%+v, %v", found, err)
	}
	f, err := storage.OpenSource(t.Context(), found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := make([]byte, 4)
	if _, err := f.ReadAt(p, 3); err != nil || string(p) != "3456" || storage.CheckUnchanged(t.Context(), found[0]) != nil {
		t.Errorf("%q, %v, %v", p, err, storage.CheckUnchanged(t.Context(), found[0]))
	}
	put("abcdefghij")
	if err := storage.CheckUnchanged(t.Context(), found[0]); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("it was replaced, and that is %v", err)
	}
	again, err := storage.OpenSource(t.Context(), found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.ReadAt(p, 3); !errors.Is(err, storage.ErrChanged) {
		t.Errorf("reading what was replaced: %v", err)
	}
}

func readAll(t testing.TB, s *segment.Segment) (rows int64, traffic storage.Traffic) {
	t.Helper()
	for b, err := range s.Read(t.Context(), segment.Options{}) {
		if err != nil {
			t.Fatal(err)
		}
		rows += b.NumRows()
	}
	return rows, s.Traffic()
}

// TestOneColumnComesOverTheNetwork counts the requests for one column: they fetch that
// column once, and little else.
func TestOneColumnComesOverTheNetwork(t *testing.T) {
	const rows = 300_000
	c, s := inBucket(t, rows)
	got, traffic := readAll(t, s)
	requests, bytes := c.Traffic()
	t.Logf("%d of %d bytes in %d requests for %d rows in %d row groups", bytes, s.Info().Bytes, requests, got, s.Info().RowGroups)
	if got != rows || traffic.Bytes != bytes || traffic.Requests != requests {
		t.Errorf("%d rows, counted %+v, were %d bytes in %d requests", got, traffic, bytes, requests)
	}
	if 3*bytes > s.Info().Bytes {
		t.Errorf("%d of %d bytes for one column", bytes, s.Info().Bytes)
	}
	// Head and footer, and each row group's column in blocks.
	if most := int64(4 + 2*s.Info().RowGroups); requests > most {
		t.Errorf("%d requests, want at most %d", requests, most)
	}
}

// BenchmarkBucket reads one column of two million rows from a bucket.
func BenchmarkBucket(b *testing.B) {
	const rows = 2_000_000
	c, s := inBucket(b, rows)
	for b.Loop() {
		readAll(b, s)
	}
	requests, bytes := c.Traffic()
	b.ReportMetric(float64(bytes)/float64(b.N), "bytes/op")
	b.ReportMetric(float64(s.Info().Bytes), "file-bytes")
	b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
	b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
