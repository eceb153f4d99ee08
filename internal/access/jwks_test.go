package access

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestTheIssuersKeysAreReadAgain: a key that is new is found at once, and one that
// was taken back is trusted for minutes, not for ever.
func TestTheIssuersKeysAreReadAgain(t *testing.T) {
	p := newProvider(t, "")
	now := noon
	p.now = func() time.Time { return now }
	p.tokens.now, p.tokens.keys.now = p.now, p.now
	p.tokens.keys.readAt, p.tokens.keys.tried = noon, noon
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	take := func(key *ecdsa.PrivateKey, id string) error {
		_, err := p.tokens.person(t.Context(), p.sign(jose.ES256, jose.JSONWebKey{Key: key, KeyID: id}, "JWT", claims(nil)))
		return err
	}
	if err := take(p.ec, "ec"); err != nil {
		t.Fatal(err)
	}
	p.publish(jose.JSONWebKey{Key: &other.PublicKey, KeyID: "other"})
	now = noon.Add(keysPause)
	if err := take(other, "other"); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if err := take(p.ec, "ec"); err == nil {
		t.Error("the key that was taken back is trusted")
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	now = noon.Add(keysFresh + keysPause*2)
	if err := take(other, "other"); err != nil {
		t.Errorf("while the keys can't be read: %v", err)
	}
	now = noon.Add(50 * time.Minute)
	if err := take(other, "other"); err != nil {
		t.Errorf("fifty minutes later: %v", err)
	}
	now = now.Add(keysStale)
	if err := take(other, "other"); err == nil {
		t.Error("keys are trusted for ever that can't be read again")
	}
}

func TestKeySetsHoldPublicKeysForSignatures(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no short keys, and jose takes none")
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: []byte(secret), KeyID: "secret"},
		{Key: &small.PublicKey, KeyID: "short"},
	}}
	p := newProvider(t, "")
	set.Keys = append(set.Keys, jose.JSONWebKey{Key: &p.rsa.PublicKey, KeyID: "encryption", Use: "enc"})
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := parseKeys(data); err == nil {
		t.Errorf("taken: %+v", keys)
	}
	data = []byte(strings.Replace(string(data), `"keys":[`, `"keys":[{"kty":"new"},7,`, 1))
	data = []byte(strings.Replace(string(data), `"enc"`, `"sig"`, 1))
	if keys, err := parseKeys(data); err != nil || len(keys) != 1 || keys[0].KeyID != "encryption" {
		t.Errorf("%+v, %v", keys, err)
	}
}

// TestKeysFromAURL reads keys as an issuer serves them, and nothing that somebody on
// the way, or an issuer that went wrong, could serve instead.
func TestKeysFromAURL(t *testing.T) {
	p := newProvider(t, "")
	set, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/jwks":
			_, _ = w.Write(set)
		case "/moved":
			http.Redirect(w, r, "/jwks", http.StatusFound)
		case "/elsewhere":
			http.Redirect(w, r, "http://attacker.example/jwks", http.StatusFound)
		case "/endless":
			_, _ = w.Write(bytes.Repeat([]byte(" "), maxKeys+1))
		case "/page":
			_, _ = w.Write([]byte("<html>sign in</html>"))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for path, good := range map[string]bool{"/jwks": true, "/moved": true, "/elsewhere": false, "/endless": false, "/page": false, "/none": false} {
		s, err := newKeySet(server.URL+path, server.Client(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if keys, err := s.find(t.Context(), "ec"); (err == nil) != good || good && len(keys) != 1 {
			t.Errorf("%s: %d keys, %v", path, len(keys), err)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"EC","kid":"k","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseKeys(data)
		for _, k := range keys {
			if err != nil || !k.IsPublic() || !k.Valid() {
				t.Errorf("%q gives %+v, %v", data, k, err)
			}
		}
	})
}
