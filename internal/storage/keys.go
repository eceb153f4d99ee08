package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
)

// Keys encrypt the files of a data root in the age format (age-encryption.org). The
// first key encrypts, and all of them decrypt. A nil *Keys encrypts nothing.
type Keys struct {
	identities []age.Identity
	recipient  age.Recipient
}

// Environment variables with the keys, or with the name of a file of keys.
const (
	KeysVariable     = "DATA_KEYS"
	KeysFileVariable = "DATA_KEYS_FILE"
)

// ErrKey is the error of an encrypted file that no available key decrypts.
var ErrKey = errors.New("it is encrypted with another key")

// ErrDamaged is the error of an encrypted file whose content was altered or cut
// short.
var ErrDamaged = errors.New("the encrypted file is damaged")

// ReadKeys reads the keys in text and then those in file, the values of DATA_KEYS
// and DATA_KEYS_FILE. Either may be empty; it returns nil if both are.
func ReadKeys(text, file string) (*Keys, error) {
	var in []string
	if text != "" {
		in = append(in, KeysVariable)
	}
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the file in %s: %w", KeysFileVariable, err)
		}
		text += "\n" + string(data)
		in = append(in, KeysFileVariable)
	}
	if len(in) == 0 {
		return nil, nil
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(in, " and "), err)
	}
	return keys, nil
}

// parseKeys reads keys as age-keygen writes them, separated by commas or white
// space. Lines that begin with # are ignored. The error contains no part of a key.
func parseKeys(text string) (*Keys, error) {
	k := &Keys{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, word := range strings.FieldsFunc(line, func(c rune) bool { return c == ',' || c <= ' ' }) {
			if err := k.add(word); err != nil {
				return nil, err
			}
		}
	}
	if k.recipient == nil {
		return nil, errors.New("no key found; make one with age-keygen or worker --new-data-key, or unset the variable to encrypt nothing")
	}
	return k, nil
}

func (k *Keys) add(word string) error {
	identities, err := age.ParseIdentities(strings.NewReader(word))
	if err != nil || len(identities) != 1 {
		// age's error could quote the key.
		return fmt.Errorf("key %d is not an age key: it must look like AGE-SECRET-KEY-…, as age-keygen and worker --new-data-key write it", len(k.identities)+1)
	}
	var to age.Recipient
	switch id := identities[0].(type) {
	case *age.X25519Identity:
		to = id.Recipient()
	case *age.HybridIdentity:
		to = id.Recipient()
	default:
		return fmt.Errorf("key %d has an unsupported type: make one with worker --new-data-key", len(k.identities)+1)
	}
	if k.recipient == nil {
		k.recipient = to
	}
	k.identities = append(k.identities, identities[0])
	return nil
}

// NewKey returns a new key in the form that ReadKeys reads.
func NewKey() (string, error) {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	return k.String(), nil
}

// count returns the number of keys.
func (k *Keys) count() int {
	if k == nil {
		return 0
	}
	return len(k.identities)
}

// unopened returns the error of a file that no key decrypts.
func (k *Keys) unopened(key string) error {
	what := fmt.Sprintf("the %d keys in %s or %s do not open it; add the one that it was written with, after the first", k.count(), KeysVariable, KeysFileVariable)
	switch k.count() {
	case 0:
		what = fmt.Sprintf("set %s or %s to the key that it was written with", KeysVariable, KeysFileVariable)
	case 1:
		what = fmt.Sprintf("the key in %s or %s does not open it; add the one that it was written with, after the first", KeysVariable, KeysFileVariable)
	}
	return fmt.Errorf("read %s in the data root: %w: %s", key, ErrKey, what)
}

// decryption returns the error of a file that could not be decrypted: damage, unless
// a key is missing or the storage failed.
func (k *Keys) decryption(key string, err error) error {
	var mismatch *age.NoIdentityMatchError
	var read *readError
	switch {
	case errors.As(err, &mismatch):
		return k.unopened(key)
	case errors.As(err, &read), errors.Is(err, fs.ErrNotExist):
		return err
	}
	return fmt.Errorf("read %s in the data root: %w: %w", key, ErrDamaged, err)
}
