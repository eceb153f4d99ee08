package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"filippo.io/age"
)

// ageMagic starts every encrypted file, and no other file that this program writes.
const ageMagic = "age-encryption.org/v1\n"

// Encrypt makes the root encrypt the files that are written below these folders.
// Existing plain files stay readable, and so do encrypted ones if their key is among
// the keys. It must be called before the root is used.
func (r *Root) Encrypt(keys *Keys, folders ...string) { r.keys, r.encrypted = keys, folders }

// encrypts reports whether the file of a key is written encrypted.
func (r *Root) encrypts(key string) bool {
	if r.keys.count() == 0 {
		return false
	}
	for _, f := range r.encrypted {
		if strings.HasPrefix(key, f+"/") {
			return true
		}
	}
	return false
}

// CheckKey returns an ErrKey if one of the newest files of a folder, at most that many, is
// encrypted and none of the root's keys decrypts it. If it is the newest one, others can't read
// what this root writes, or it is plain where others encrypt.
func (r *Root) CheckKey(ctx context.Context, most int, folders ...string) error {
	for _, folder := range folders {
		var all []Object
		newestFirst := func() {
			slices.SortFunc(all, func(a, b Object) int { return b.ModTime.Compare(a.ModTime) })
			all = all[:min(most, len(all))]
		}
		err := r.Walk(ctx, folder, func(o Object) error {
			if all = append(all, o); len(all) > 1000+most { // a folder may have millions
				newestFirst()
			}
			return nil
		})
		if err != nil {
			return err
		}
		newestFirst()
		for _, o := range all {
			f, err := r.Open(ctx, o.Name)
			switch {
			case err == nil:
				f.Close()
			case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged): // it was deleted meanwhile; damage is noticed elsewhere
				return err
			}
		}
	}
	return nil
}

// decrypted returns the content of a file whose bytes are data, decrypted if they
// are encrypted.
func (r *Root) decrypted(key string, data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte(ageMagic)) {
		return data, nil
	}
	if r.keys.count() == 0 {
		return nil, r.keys.unopened(key)
	}
	plain, err := age.Decrypt(bytes.NewReader(data), r.keys.identities...)
	if err == nil {
		data, err = io.ReadAll(plain)
	}
	if err != nil {
		return nil, r.keys.decryption(key, err)
	}
	return data, nil
}

// decryptedFile reads an encrypted file at any offset, in pieces of 64 KiB.
type decryptedFile struct {
	File
	plain io.ReaderAt
	size  int64 // bytes of the content
	key   string
	keys  *Keys
}

// open returns a File of the content of f, which may be encrypted. After an error f
// is closed.
func (r *Root) open(key string, f File) (File, error) {
	head := make([]byte, len(ageMagic))
	if n, err := f.ReadAt(head, 0); n < len(head) {
		if err == nil || errors.Is(err, io.EOF) {
			return f, nil // too short
		}
		f.Close()
		return nil, keyError("read", key, err)
	}
	if string(head) != ageMagic {
		return f, nil
	}
	if r.keys.count() == 0 {
		f.Close()
		return nil, r.keys.unopened(key)
	}
	plain, size, err := age.DecryptReaderAt(source{f}, f.Size(), r.keys.identities...)
	if err != nil {
		f.Close()
		return nil, r.keys.decryption(key, err)
	}
	return &decryptedFile{File: f, plain: plain, size: size, key: key, keys: r.keys}, nil
}

// Size returns the number of bytes of the content.
func (f *decryptedFile) Size() int64 { return f.size }

func (f *decryptedFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.size && len(p) > 0 {
		return 0, io.EOF
	}
	n, err := f.plain.ReadAt(p, off)
	switch {
	case n == len(p):
		return n, nil // age returns EOF with the last bytes
	case errors.Is(err, io.EOF):
		return n, io.EOF
	}
	return n, f.keys.decryption(f.key, err)
}

// source marks errors in reading the encrypted file, to tell them from damage.
type source struct{ io.ReaderAt }

func (s source) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }
