package main

import (
	"errors"
	"log/slog"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/storage"
)

// AuthSettings say who may do what. They are part of settings; the name is exported
// since envconfig leaves out embedded structs whose names are not.
type AuthSettings struct {
	Secret     string `envconfig:"WORKER_SECRET" desc:"32 or more characters that nobody can guess, the same for all workers; several with spaces between them, the newest first. With it every run needs a grant, which the gateway makes; default none: who can write to Temporal's namespace can run everything"`
	SecretFile string `envconfig:"WORKER_SECRET_FILE" desc:"file that holds WORKER_SECRET, instead of it"`
}

// gate makes what decides which runs may start.
func (s AuthSettings) gate(root *storage.Root, log *slog.Logger) (*access.Gate, error) {
	secrets, err := access.ReadSecrets(s.Secret, s.SecretFile)
	if err != nil {
		return nil, err
	}
	if len(secrets) == 0 {
		if s.SecretFile != "" {
			return nil, errors.New("WORKER_SECRET_FILE holds no secret; make one with: openssl rand -base64 32")
		}
		log.Warn("WORKER_SECRET is not set: who can write to Temporal's namespace can run everything")
	}
	return access.New(root, secrets)
}
