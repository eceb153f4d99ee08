package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
)

// Keys encrypt what lies in a data root, in the format age (age-encryption.org):
// the first of them whatever is written, and any of them what is read. A nil *Keys
// encrypts nothing.
type Keys struct {
	identities []age.Identity
	recipient  age.Recipient
}

// Names of the environment variables that hold the keys, or name a file of them.
const (
	KeysVariable     = "DATA_KEYS"
	KeysFileVariable = "DATA_KEYS_FILE"
)

// ErrKey is the error of an encrypted file that none of the keys opens.
var ErrKey = errors.New("it is encrypted with a key that is not here")

// ErrDamaged is the error of an encrypted file whose content is not what was
// written.
var ErrDamaged = errors.New("the encrypted file is damaged")

// ReadKeys reads the keys of a text and then those of a file, either of which may
// be empty: the values of DATA_KEYS and DATA_KEYS_FILE. It is nil where both are.
func ReadKeys(text, file string) (*Keys, error) {
	var in []string
	if text != "" {
		in = append(in, KeysVariable)
	}
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the file that %s names: %w", KeysFileVariable, err)
		}
		text += "\n" + string(data)
		in = append(in, KeysFileVariable)
	}
	if len(in) == 0 {
		return nil, nil
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(in, " and "), err)
	}
	return keys, nil
}

// ParseKeys reads the keys as age-keygen writes them, parted by commas or white
// space. Lines that begin with # are left out. The error says nothing of a key.
func ParseKeys(text string) (*Keys, error) {
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
		return nil, errors.New("there is no key in it; age-keygen or worker --new-data-key makes one, or unset the variable to encrypt nothing")
	}
	return k, nil
}

func (k *Keys) add(word string) error {
	identities, err := age.ParseIdentities(strings.NewReader(word))
	if err != nil || len(identities) != 1 {
		// What age says of it could quote it.
		return fmt.Errorf("key %d is not one of age's: it must read AGE-SECRET-KEY-… as age-keygen and worker --new-data-key write it", len(k.identities)+1)
	}
	var to age.Recipient
	switch id := identities[0].(type) {
	case *age.X25519Identity:
		to = id.Recipient()
	case *age.HybridIdentity:
		to = id.Recipient()
	default:
		return fmt.Errorf("key %d is of a kind that is not known here", len(k.identities)+1)
	}
	if k.recipient == nil {
		k.recipient = to
	}
	k.identities = append(k.identities, identities[0])
	return nil
}

// NewKey makes a key, as ParseKeys reads it.
func NewKey() (string, error) {
	k, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	return k.String(), nil
}

// count says how many keys there are.
func (k *Keys) count() int {
	if k == nil {
		return 0
	}
	return len(k.identities)
}

// unopened says that no key opens a file, and what to do.
func (k *Keys) unopened(key string) error {
	what := fmt.Sprintf("none of the %d keys in %s or %s opens it; add the one that it was written with, after the first", k.count(), KeysVariable, KeysFileVariable)
	switch k.count() {
	case 0:
		what = fmt.Sprintf("set %s or %s to the key that it was written with", KeysVariable, KeysFileVariable)
	case 1:
		what = fmt.Sprintf("the key in %s or %s does not open it; add the one that it was written with, after the first", KeysVariable, KeysFileVariable)
	}
	return fmt.Errorf("read %s in the data root: %w: %s", key, ErrKey, what)
}

// decryption says what kept a file from being decrypted. Whatever is not the
// storage's trouble is damage.
func (k *Keys) decryption(key string, err error) error {
	var none *age.NoIdentityMatchError
	var trouble *readError
	switch {
	case errors.As(err, &none):
		return k.unopened(key)
	case errors.As(err, &trouble), errors.Is(err, fs.ErrNotExist):
		return err
	}
	return fmt.Errorf("read %s in the data root: %w: %w", key, ErrDamaged, err)
}
