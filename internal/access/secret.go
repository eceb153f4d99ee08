package access

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Environment variables with the secrets that the workers of a deployment share.
const (
	SecretVariable     = "WORKER_SECRET"
	SecretFileVariable = "WORKER_SECRET_FILE"
)

// ReadSecrets returns the secrets in text or in a file, the newest first.
func ReadSecrets(text, file string) ([]string, error) {
	if file != "" {
		if text != "" {
			return nil, errors.New("WORKER_SECRET and WORKER_SECRET_FILE are both set; unset one of them")
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("WORKER_SECRET_FILE: %w", err)
		}
		if text = string(data); strings.TrimSpace(text) == "" {
			return nil, errors.New("the file of WORKER_SECRET_FILE has no secret; create one with: openssl rand -base64 32")
		}
	}
	return strings.Fields(text), nil
}
