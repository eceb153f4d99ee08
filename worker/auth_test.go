package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunsNeedAGrantWheneverThatIsAskedFor sets the variables that a deployment would,
// and wants either a gate that is closed or an error: never a worker that lets everyone
// in without saying so.
func TestRunsNeedAGrantWheneverThatIsAskedFor(t *testing.T) {
	file, secret := filepath.Join(t.TempDir(), "secret"), strings.Repeat("s3cret", 8)
	for name, text := range map[string]string{file: secret + "\n", file + ".empty": "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		env    map[string]string
		closed bool
		err    string
	}{
		"none":                {},
		"a secret":            {env: map[string]string{"WORKER_SECRET": secret}, closed: true},
		"a secret in a file":  {env: map[string]string{"WORKER_SECRET_FILE": file}, closed: true},
		"two secrets":         {env: map[string]string{"WORKER_SECRET": strings.ToUpper(secret) + " " + secret}, closed: true},
		"a short secret":      {env: map[string]string{"WORKER_SECRET": "hunter2"}, err: "7 characters"},
		"a short second one":  {env: map[string]string{"WORKER_SECRET": secret + " hunter2"}, err: "7 characters"},
		"two places for it":   {env: map[string]string{"WORKER_SECRET": secret, "WORKER_SECRET_FILE": file}, err: "both"},
		"an empty file":       {env: map[string]string{"WORKER_SECRET_FILE": file + ".empty"}, err: "openssl rand"},
		"a file that is gone": {env: map[string]string{"WORKER_SECRET_FILE": file + ".none"}, err: "WORKER_SECRET_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			s, err := readSettings()
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			gate, err := s.gate(nil, slog.New(slog.NewTextHandler(&log, nil)))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("error %v, want one about %q", err, c.err)
				}
				return
			}
			if err != nil || gate.Required() != c.closed {
				t.Fatalf("closed: %t, want %t; %v", gate.Required(), c.closed, err)
			}
			if open := strings.Contains(log.String(), "WORKER_SECRET is not set"); open == c.closed {
				t.Errorf("the log says open: %t\n%s", open, &log)
			}
			if strings.Contains(log.String(), secret) {
				t.Error("the secret is in the log")
			}
		})
	}
}
