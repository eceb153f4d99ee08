package trigger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iterable-segment-export/internal/storage"
)

func example(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestEventsOfTheVendors reads one event of each kind, in the form that the vendor's
// documentation has.
func TestEventsOfTheVendors(t *testing.T) {
	for name, c := range map[string]struct {
		format, id, objects, confirm, validation string
		at                                       string
	}{
		"s3.json":              {format: S3, objects: "s3://segments/high-value/part+1%20%C3%A9.parquet"},
		"s3-removed.json":      {format: S3},
		"s3-test.json":         {format: S3},
		"sqs-lambda.json":      {format: S3, objects: "s3://segments/vip/a.parquet s3://segments/vip/b.parquet"},
		"sns.json":             {format: SNS, id: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", objects: "s3://segments/vip/a.parquet", at: "2026-05-02T00:54:06Z"},
		"sns-confirm.json":     {format: SNS, id: "165545c9-2a5c-472c-8df2-7ff2be2b3b1b", confirm: "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37", at: "2026-04-26T20:45:04Z"},
		"grid.json":            {format: EventGrid, id: "831e1650-001e-001b-66ab-eeb76e069631 2 3 ", objects: "azblob://segments/vip/a%20b.parquet?storage_account=lake azblob://segments/vip/c.parquet?storage_account=lake", at: "2026-06-26T18:43:01Z"},
		"grid-validation.json": {format: EventGrid, id: "2d1781af-3a4c-4d7c-bd0c-e34b19da4e66", validation: "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", at: "2026-08-10T22:04:00Z"},
		"grid-cloud.json":      {format: EventGrid, id: "9aeb0fdf-c01e-0131-0922-9eb54906e209 ", objects: "azblob://segments/vip/a.parquet?storage_account=lake", at: "2026-11-18T15:13:39Z"},
		"pubsub.json":          {format: PubSub, id: "2070443601311540", objects: "gs://segments/vip/a%20b.parquet", at: "2026-02-26T19:13:55Z"},
		"pubsub-delete.json":   {format: PubSub, id: "2070443601311541", at: "2026-02-26T19:13:55Z"},
	} {
		body := example(t, name)
		format, err := Format(body)
		if err != nil || format != c.format {
			t.Errorf("%s: %s, %v", name, format, err)
			continue
		}
		m, err := Parse(format, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		at := ""
		if !m.At.IsZero() {
			at = m.At.UTC().Truncate(time.Second).Format(time.RFC3339)
		}
		if got := strings.Join(m.Objects, " "); got != c.objects || m.ID != c.id || m.Confirm != c.confirm || m.Validation != c.validation || at != c.at {
			t.Errorf("%s: %+v, %s", name, m, at)
		}
	}
}

func TestWhatIsNoEvent(t *testing.T) {
	for _, body := range []string{"", "x", "{}", "[1]", `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}`,
		`{"message":{"attributes":{"eventType":"OBJECT_FINALIZE"}},"subscription":"s"}`, `{"specversion":"1.0","type":"Microsoft.Storage.BlobCreated","data":{"url":"https://x"}}`,
		`{"Type":"Notification","TopicArn":"t","Message":"x","Timestamp":"2026-01-01T00:00:00Z"}`, `{"Type":"Notification","TopicArn":"t","Timestamp":"yesterday"}`,
	} {
		format, err := Format([]byte(body))
		if err == nil {
			_, err = Parse(format, []byte(body))
		}
		if err == nil {
			t.Errorf("%s is taken for an event of %s", body, format)
		}
	}
}

func FuzzEvents(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		f.Add(example(f, filepath.Base(file)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		format, err := Format(body)
		if err != nil {
			return
		}
		m, err := Parse(format, body)
		if err != nil {
			return
		}
		for _, o := range m.Objects {
			scheme, rest, _ := strings.Cut(o, "://")
			bucket, _, _ := strings.Cut(rest, "/")
			if bucket == "" || !strings.Contains("s3 azblob gs", scheme) {
				t.Errorf("%q is no object", o)
			}
			storage.Reads("s3://segments/vip", o)
		}
	})
}
