package operate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// Identity proves who somebody is. The zero Identity proves nothing, which is
// enough for a worker that does not want to know.
type Identity struct {
	// Token gives a token of the identity provider, nil where there is none. It is
	// called for every proof, so that a file can be renewed.
	Token func() (string, error)
	// WorkerKey is the worker's public key, which the token is sealed with. Where it
	// is empty the worker is asked for it: then whoever can pose as a worker in
	// Temporal can read the token.
	WorkerKey string
}

// Variables of the environment that make an Identity.
const (
	TokenEnv     = "EXPORT_TOKEN"
	TokenFileEnv = "EXPORT_TOKEN_FILE"
	WorkerKeyEnv = "EXPORT_WORKER_KEY"
)

// maxTokenFile is the most bytes that a token's file may have.
const maxTokenFile = 64 << 10

// IdentityFromEnv reads who somebody is from the environment; file, where it is
// not empty, is a file with the token instead.
func IdentityFromEnv(file string) Identity {
	i := Identity{WorkerKey: os.Getenv(WorkerKeyEnv)}
	token := os.Getenv(TokenEnv)
	if file == "" {
		file = os.Getenv(TokenFileEnv)
	} else {
		token = ""
	}
	switch {
	case token != "":
		i.Token = func() (string, error) { return strings.TrimSpace(token), nil }
	case file != "":
		i.Token = func() (string, error) { return readToken(file) }
	}
	return i
}

func readToken(file string) (string, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxTokenFile {
		err = errors.New("it is too large to be a token")
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return "", fmt.Errorf("read the token from %s: %w", file, err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("the file %s, which should hold a token, is empty", file)
	}
	return token, nil
}

// prove seals the token for one question, nil where there is no token or where the
// worker wants none.
func (o *Operator) prove(ctx context.Context, q access.Question) (*schemas.Proof, error) {
	if o.Identity.Token == nil {
		return nil, nil
	}
	key := o.Identity.WorkerKey
	if key == "" {
		var answer schemas.WorkerKey
		if err := o.Ask(ctx, schemas.OperationWorkerKey, struct{}{}, &answer); err != nil {
			return nil, err
		}
		if !answer.Required {
			return nil, nil
		}
		key = answer.Key
	}
	token, err := o.Identity.Token()
	if err != nil {
		return nil, err
	}
	return access.Seal(key, token, q, time.Now())
}
