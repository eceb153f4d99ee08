package main

import (
	"log/slog"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/storage"
)

// AuthSettings are the settings of grants. The name is exported because envconfig ignores
// embedded structs with other names.
type AuthSettings struct {
	Secret     string `envconfig:"WORKER_SECRET" desc:"32 or more random characters, the same for all workers; several are separated by spaces, the newest first. With it every run needs a grant, which the gateway issues. Default not set: everyone who can write to Temporal's namespace can run everything"`
	SecretFile string `envconfig:"WORKER_SECRET_FILE" desc:"file with WORKER_SECRET, instead of the variable"`
}

// gate returns the gate, which decides which runs may start.
func (s AuthSettings) gate(root *storage.Root, log *slog.Logger) (*access.Gate, error) {
	secrets, err := access.ReadSecrets(s.Secret, s.SecretFile)
	if err != nil {
		return nil, err
	}
	if len(secrets) == 0 {
		log.Warn("WORKER_SECRET is not set: everyone who can write to Temporal's namespace can run everything")
	}
	return access.New(root, secrets)
}
