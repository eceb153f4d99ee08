// Package emulators starts emulators of the clouds' storage, for tests: Azurite for Azure Blob
// Storage, fake-gcs-server for Google Cloud Storage, gofakes3 for S3. Each listens on a free
// port of 127.0.0.1 behind a proxy that counts requests and can inject faults. It stops with
// the test. Credentials are in the environment, as in a deployment.
package emulators

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	fakegcs "github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Cloud is an emulator with an empty bucket.
type Cloud struct {
	// URL is the bucket's URL with its parameters.
	URL string
	// Env are the environment variables that a program needs to use it. They are set in
	// the test's process.
	Env map[string]string
	*Proxy
}

// bucket is the name of the only bucket.
const bucket = "segments"

// All returns the emulators by name. They skip the test if they can't be run.
func All() map[string]func(testing.TB) *Cloud {
	return map[string]func(testing.TB) *Cloud{"azure": Azure, "s3": S3, "google": Google}
}

// S3 starts an S3 server.
func S3(t testing.TB) *Cloud {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(completeOnce(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()))
	t.Cleanup(server.Close)
	c := &Cloud{Proxy: newProxy(t, server.URL)}
	c.URL = "s3://" + bucket + "?endpoint=http://" + c.Addr + "&region=us-east-1&use_path_style=true"
	c.environ(t, map[string]string{"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
	return c
}

// completeOnce makes the completion of a multipart upload obey If-None-Match, as S3 does.
// gofakes3 obeys it only for uploads in one part.
func completeOnce(s3 http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && r.Header.Get("If-None-Match") == "*" {
			head := httptest.NewRequest(http.MethodHead, r.URL.Path, nil)
			found := httptest.NewRecorder()
			s3.ServeHTTP(found, head)
			if found.Code == http.StatusOK {
				w.WriteHeader(http.StatusPreconditionFailed)
				_, _ = io.WriteString(w, "<Error><Code>PreconditionFailed</Code><Message>there is such an object</Message></Error>")
				return
			}
		}
		s3.ServeHTTP(w, r)
	})
}

// Google starts a server of Google Cloud Storage.
func Google(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{Proxy: newProxy(t, "")}
	server, err := fakegcs.NewServerWithOptions(fakegcs.Options{
		Scheme: "http", Host: "127.0.0.1", Port: 0, PublicHost: c.Addr, ExternalURL: "http://" + c.Addr, NoListener: true, Writer: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	backend := httptest.NewUnstartedServer(server.HTTPHandler())
	backend.Config.ErrorLog = log.New(io.Discard, "", 0)
	backend.Start()
	t.Cleanup(backend.Close)
	c.to(t, backend.URL)
	// The driver finds the emulator by the environment, and caches it by the bucket's URL
	// until the process ends.
	name := bucket + "-" + port(c.Addr)
	server.CreateBucketWithOpts(fakegcs.CreateBucketOpts{Name: name})
	c.URL = "gs://" + name
	c.environ(t, map[string]string{"STORAGE_EMULATOR_HOST": c.Addr})
	return c
}

// environ sets the environment for the rest of the process, so that parallel tests can use
// emulators. Only one emulator of Google's can run at a time.
func (c *Cloud) environ(t testing.TB, env map[string]string) {
	t.Helper()
	c.Env = env
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// At returns the URL of a path in the bucket.
func (c *Cloud) At(path string) string {
	base, query, found := strings.Cut(c.URL, "?")
	if !found {
		return base + "/" + path
	}
	return base + "/" + path + "?" + query
}
