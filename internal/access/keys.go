package access

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// leastSecret is the fewest characters that a secret may have: those of 32 random
// bytes in hex are 64, in base64 44. It keeps words and names out.
const leastSecret = 32

// What the keys that are derived from a secret are for. A key is never used for
// two things.
const (
	forProofs = "iterable-segment-export proof v1"
	forGrants = "iterable-segment-export grant v1"
	forPasses = "iterable-segment-export pass v1"
	forLists  = "iterable-segment-export list v1"
)

// keys are derived from one secret.
type keys struct {
	proof hpke.PrivateKey
	macs  map[string][]byte // by what they are for
}

func deriveAll(secrets []string) ([]keys, error) {
	if len(secrets) == 0 {
		return nil, errors.New("there is no WORKER_SECRET; make one with: openssl rand -base64 32")
	}
	var all []keys
	for _, s := range secrets {
		if len(s) < leastSecret {
			return nil, fmt.Errorf("a WORKER_SECRET has %d characters, and needs %d or more; make one with: openssl rand -base64 32", len(s), leastSecret)
		}
		k, err := derive(s)
		if err != nil {
			return nil, fmt.Errorf("derive keys from WORKER_SECRET: %w", err)
		}
		all = append(all, k)
	}
	return all, nil
}

func derive(secret string) (keys, error) {
	k := keys{macs: map[string][]byte{}}
	for _, purpose := range []string{forGrants, forPasses, forLists} {
		key, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, sha256.Size)
		if err != nil {
			return k, err
		}
		k.macs[purpose] = key
	}
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, forProofs, sha256.Size)
	if err != nil {
		return k, err
	}
	k.proof, err = kem().DeriveKeyPair(seed)
	return k, err
}

// The HPKE suite of proofs (RFC 9180): X25519, HKDF-SHA256, ChaCha20-Poly1305.
func kem() hpke.KEM   { return hpke.DHKEM(ecdh.X25519()) }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.ChaCha20Poly1305() }

func (k keys) publicKey() string {
	return base64.RawURLEncoding.EncodeToString(k.proof.PublicKey().Bytes())
}

func parsePublicKey(text string) (hpke.PublicKey, error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, err
	}
	return kem().NewPublicKey(data)
}

// mac is over the JSON of v, whose form is given by its Go type alone: fields in
// their order, nothing left to choose.
func (k keys) mac(purpose string, v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, k.macs[purpose])
	h.Write(data)
	return h.Sum(nil), nil
}

// sign makes the MAC with the newest secret.
func (g *Gate) sign(purpose string, v any) ([]byte, error) { return g.keys[0].mac(purpose, v) }

// signed tells whether the MAC was made with one of the secrets.
func (g *Gate) signed(purpose string, v any, mac []byte) bool {
	for _, k := range g.keys {
		want, err := k.mac(purpose, v)
		if err == nil && hmac.Equal(want, mac) {
			return true
		}
	}
	return false
}
