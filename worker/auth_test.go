package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The issuer's keys: one that a test's key generator once made, of P-256.
const keySet = `{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`

// TestTheGateIsClosedWheneverItIsAskedFor sets the variables that a deployment
// would, and wants either a gate or an error: never a worker that lets everybody in
// without being told so.
func TestTheGateIsClosedWheneverItIsAskedFor(t *testing.T) {
	dir := t.TempDir()
	jwks, secret := filepath.Join(dir, "jwks.json"), strings.Repeat("s3cret", 8)
	for file, text := range map[string]string{jwks: keySet, jwks + ".bad": `{"keys":[]}`, jwks + ".secret": secret + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]string{"AUTH_JWKS": jwks, "AUTH_ISSUER": "https://issuer", "AUTH_AUDIENCE": "exports", "WORKER_SECRET": secret}
	with := func(change map[string]string) map[string]string {
		out := map[string]string{}
		for k, v := range all {
			out[k] = v
		}
		for k, v := range change {
			out[k] = v
		}
		return out
	}
	for name, c := range map[string]struct {
		env    map[string]string
		closed bool
		err    string
	}{
		"none":             {env: nil},
		"all":              {env: all, closed: true},
		"secret in a file": {env: with(map[string]string{"WORKER_SECRET": "", "WORKER_SECRET_FILE": jwks + ".secret"}), closed: true},
		"two secrets":      {env: with(map[string]string{"WORKER_SECRET": strings.ToUpper(secret) + " " + secret}), closed: true},
		"mapped roles":     {env: with(map[string]string{"AUTH_ROLES": "administrator=a b, c; viewer=*"}), closed: true},

		"no keys":               {env: map[string]string{"AUTH_ISSUER": "https://issuer"}, err: "without AUTH_JWKS"},
		"no issuer":             {env: with(map[string]string{"AUTH_ISSUER": ""}), err: "AUTH_ISSUER"},
		"no audience":           {env: with(map[string]string{"AUTH_AUDIENCE": ""}), err: "AUTH_AUDIENCE"},
		"no secret":             {env: with(map[string]string{"WORKER_SECRET": ""}), err: "openssl rand"},
		"short secret":          {env: with(map[string]string{"WORKER_SECRET": "hunter2"}), err: "7 characters"},
		"short second secret":   {env: with(map[string]string{"WORKER_SECRET": secret + " hunter2"}), err: "7 characters"},
		"two places for it":     {env: with(map[string]string{"WORKER_SECRET_FILE": jwks}), err: "both"},
		"missing key file":      {env: with(map[string]string{"AUTH_JWKS": jwks + ".none"}), err: "AUTH_JWKS"},
		"empty key set":         {env: with(map[string]string{"AUTH_JWKS": jwks + ".bad"}), err: "no public key"},
		"keys over open http":   {env: with(map[string]string{"AUTH_JWKS": "http://issuer.example/jwks"}), err: "https"},
		"role that there isn't": {env: with(map[string]string{"AUTH_ROLES": "admin=x"}), err: `"admin=x"`},
		"empty role value":      {env: with(map[string]string{"AUTH_ROLES": "viewer="}), err: "empty value"},
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
			gate, err := s.gate(slog.New(slog.NewTextHandler(&log, nil)))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "hunter2") {
					t.Fatalf("error %v, want one about %q", err, c.err)
				}
				return
			}
			if err != nil || gate.Required() != c.closed {
				t.Fatalf("closed: %t, want %t; %v", gate.Required(), c.closed, err)
			}
			if open := strings.Contains(log.String(), "everybody who can reach Temporal is an administrator"); open == c.closed {
				t.Errorf("the log says open: %t\n%s", open, &log)
			}
			if strings.Contains(log.String(), secret) {
				t.Error("the secret is in the log")
			}
		})
	}
}
