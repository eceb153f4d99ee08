// Package accesstest is an identity provider for tests.
package accesstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/schemas"
)

// What the provider's tokens say, and the secret of the workers that trust it.
const (
	Issuer   = "https://issuer.example"
	Audience = "segment-export"
	Secret   = "kGJ5iMlYPuC0yyuK1Z1pD2sMZqS7jLQ1bZ0Y2sXoRmE="
)

// Provider signs tokens.
type Provider struct {
	t testing.TB
	// JWKS is the file with its public key.
	JWKS string
	key  *ecdsa.PrivateKey
}

// New makes a provider with a key of its own.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t, JWKS: filepath.Join(t.TempDir(), "jwks.json")}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: "test", Use: "sig"}}})
	if err == nil {
		err = os.WriteFile(p.JWKS, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Gate is that of a worker that trusts the provider.
func (p *Provider) Gate() *access.Gate {
	p.t.Helper()
	g, err := access.New(access.Options{
		Tokens:  access.TokenOptions{JWKS: p.JWKS, Issuer: Issuer, Audience: Audience, RoleClaim: "roles"},
		Secrets: []string{Secret},
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return g
}

// Token is good for an hour, and for somebody of that name and role.
func (p *Provider) Token(name string, role schemas.Role) string {
	p.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "test"}}, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(map[string]any{
		"iss": Issuer, "aud": Audience, "sub": name, "roles": []string{role}, "exp": time.Now().Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}
