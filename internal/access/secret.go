package access

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Variables of the environment that hold what the workers of a deployment share.
const (
	SecretVariable     = "WORKER_SECRET"
	SecretFileVariable = "WORKER_SECRET_FILE"
)

// ReadSecrets reads the secrets, the newest first, from a text or else from a file.
func ReadSecrets(text, file string) ([]string, error) {
	if file != "" {
		if text != "" {
			return nil, errors.New("WORKER_SECRET and WORKER_SECRET_FILE are both set; only one of them can hold, take the other out")
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("WORKER_SECRET_FILE: %w", err)
		}
		text = string(data)
	}
	return strings.Fields(text), nil
}
