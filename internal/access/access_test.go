package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"iterable-segment-export/schemas"
)

const (
	issuer   = "https://issuer.example"
	audience = "segment-export"
	secret   = "kGJ5iMlYPuC0yyuK1Z1pD2sMZqS7jLQ1bZ0Y2sXoRmE="
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// provider is an identity provider, and the gate of a worker that trusts it.
type provider struct {
	*Gate
	t    *testing.T
	file string
	ec   *ecdsa.PrivateKey
	rsa  *rsa.PrivateKey
}

func newProvider(t *testing.T, roles string) *provider {
	t.Helper()
	p := &provider{t: t, file: filepath.Join(t.TempDir(), "jwks.json")}
	var err error
	if p.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if p.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	p.publish(jose.JSONWebKey{Key: &p.ec.PublicKey, KeyID: "ec", Use: "sig"}, jose.JSONWebKey{Key: &p.rsa.PublicKey, KeyID: "rsa", Algorithm: "RS256"})
	p.Gate, err = New(Options{
		Tokens:  TokenOptions{JWKS: p.file, Issuer: issuer, Audience: audience, RoleClaim: "roles", Roles: roles},
		Secrets: []string{secret},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return noon }
	return p
}

func (p *provider) publish(keys ...jose.JSONWebKey) {
	p.t.Helper()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err == nil {
		err = os.WriteFile(p.file, data, 0o600)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// claims are those of a good token, with changes; nil takes one out.
func claims(change map[string]any) map[string]any {
	out := map[string]any{
		"iss": issuer, "aud": []string{"other", audience}, "sub": "1234", "email": "ann@example.com",
		"exp": noon.Add(time.Hour).Unix(), "iat": noon.Unix(), "roles": []string{"x", schemas.RoleContributor},
	}
	for k, v := range change {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

func (p *provider) sign(alg jose.SignatureAlgorithm, key any, kind string, claims map[string]any) string {
	p.t.Helper()
	options := &jose.SignerOptions{}
	if kind != "" {
		options = options.WithType(jose.ContentType(kind))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *provider) good(change map[string]any) string {
	return p.sign(jose.ES256, jose.JSONWebKey{Key: p.ec, KeyID: "ec"}, "JWT", claims(change))
}

// refused fails the test unless the error is the gate's no, of that type, and says
// nothing that somebody could use.
func refused(t *testing.T, err error, kind schemas.ErrorType, secrets ...string) {
	t.Helper()
	var no *Refused
	if !errors.As(err, &no) || no.Type != kind {
		t.Errorf("%v, want a refusal of type %s", err, kind)
		return
	}
	for _, s := range secrets {
		if strings.Contains(no.Message, s) {
			t.Errorf("the refusal tells %q: %s", s, no.Message)
		}
	}
}

func TestGoodTokensAreTaken(t *testing.T) {
	p := newProvider(t, "")
	for name, token := range map[string]string{
		"ES256":              p.good(nil),
		"RS256":              p.sign(jose.RS256, jose.JSONWebKey{Key: p.rsa, KeyID: "rsa"}, "at+jwt", claims(nil)),
		"no key id":          p.sign(jose.ES256, p.ec, "", claims(nil)),
		"one audience":       p.good(map[string]any{"aud": audience}),
		"expired just now":   p.good(map[string]any{"exp": noon.Add(-30 * time.Second).Unix()}),
		"white space around": "\n" + p.good(nil) + " \n",
	} {
		who, err := p.tokens.person(t.Context(), token)
		if err != nil || who.Name != "ann@example.com" || who.Role != schemas.RoleContributor {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	p := newProvider(t, "")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&p.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := (&jose.JSONWebKey{Key: &p.rsa.PublicKey, KeyID: "rsa", Algorithm: "RS256"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	part := func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }
	body, err := json.Marshal(claims(map[string]any{"roles": []string{schemas.RoleAdministrator}}))
	if err != nil {
		t.Fatal(err)
	}
	own := p.good(nil)
	head, rest, _ := strings.Cut(own, ".")
	_, signature, _ := strings.Cut(rest, ".")
	embedded := (&jose.SignerOptions{EmbedJWK: true})
	brought, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: stranger}, embedded)
	if err != nil {
		t.Fatal(err)
	}
	withKey, err := jwt.Signed(brought).Claims(claims(nil)).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"empty":                     "",
		"no JWT":                    "ann",
		"alg none":                  part(`{"alg":"none"}`) + "." + part(string(body)) + ".",
		"alg None":                  part(`{"alg":"None","kid":"ec"}`) + "." + part(string(body)) + "." + signature,
		"public key as secret":      p.sign(jose.HS256, public, "JWT", claims(nil)),
		"JWK as secret":             p.sign(jose.HS256, jwk, "JWT", claims(nil)),
		"altered claims":            head + "." + part(string(body)) + "." + signature,
		"no signature":              head + "." + part(string(body)) + ".",
		"stranger's key":            p.sign(jose.ES256, jose.JSONWebKey{Key: stranger, KeyID: "ec"}, "JWT", claims(nil)),
		"stranger's key in it":      withKey,
		"unknown key id":            p.sign(jose.ES256, jose.JSONWebKey{Key: p.ec, KeyID: "none"}, "JWT", claims(nil)),
		"not the key's algorithm":   p.sign(jose.PS256, jose.JSONWebKey{Key: p.rsa, KeyID: "rsa"}, "JWT", claims(nil)),
		"for signing out":           p.sign(jose.ES256, p.ec, "logout+jwt", claims(nil)),
		"expired":                   p.good(map[string]any{"exp": noon.Add(-2 * time.Minute).Unix()}),
		"never expires":             p.good(map[string]any{"exp": nil}),
		"not yet":                   p.good(map[string]any{"nbf": noon.Add(2 * time.Minute).Unix()}),
		"from the future":           p.good(map[string]any{"iat": noon.Add(time.Hour).Unix()}),
		"other issuer":              p.good(map[string]any{"iss": issuer + "/"}),
		"no issuer":                 p.good(map[string]any{"iss": nil}),
		"other audience":            p.good(map[string]any{"aud": "other"}),
		"no audience":               p.good(map[string]any{"aud": nil}),
		"nobody's":                  p.good(map[string]any{"email": nil, "sub": nil}),
		"name with a control sign":  p.good(map[string]any{"email": "a\x1b[2J", "sub": nil}),
		"two tokens in one":         own + "." + own,
		"signatures in a JSON form": `{"payload":"` + part(string(body)) + `","signatures":[]}`,
	} {
		_, err := p.tokens.person(t.Context(), token)
		if refused(t, err, schemas.ErrorProof, signature); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestRolesComeFromTheClaim(t *testing.T) {
	const mapped = "administrator=Iterable owners; contributor=Marketing, CRM,both; viewer=both"
	for _, c := range []struct {
		roles, claim string
		value        map[string]any
		want         schemas.Role
	}{
		{"", "roles", map[string]any{"roles": []string{"viewer", "administrator", "contributor"}}, schemas.RoleAdministrator},
		{"", "roles", map[string]any{"roles": "viewer"}, schemas.RoleViewer},
		{"", "roles", map[string]any{"roles": "Administrator"}, ""},
		{"", "roles", map[string]any{"roles": nil}, ""},
		{"", "roles", map[string]any{"roles": "x administrator"}, ""},
		{"", "roles", map[string]any{"roles": map[string]any{"administrator": true}}, ""},
		{"", "scope", map[string]any{"scope": "openid contributor"}, schemas.RoleContributor},
		{"", "realm_access.roles", map[string]any{"realm_access": map[string]any{"roles": []string{"viewer"}}}, schemas.RoleViewer},
		{"", "https://x.example/roles", map[string]any{"https://x.example/roles": []string{"viewer"}}, schemas.RoleViewer},
		{mapped, "groups", map[string]any{"groups": []string{"CRM"}}, schemas.RoleContributor},
		{mapped, "groups", map[string]any{"groups": []string{"Iterable owners", "CRM"}}, schemas.RoleAdministrator},
		{mapped, "groups", map[string]any{"groups": []string{"both"}}, schemas.RoleContributor},
		{mapped, "groups", map[string]any{"groups": []string{"administrator"}}, ""},
		{mapped + ";viewer=*", "groups", nil, schemas.RoleViewer},
	} {
		p := newProvider(t, c.roles)
		p.tokens.o.RoleClaim = c.claim
		who, err := p.tokens.person(t.Context(), p.good(c.value))
		if c.want == "" {
			refused(t, err, schemas.ErrorNotAllowed)
		} else if err != nil || who.Role != c.want {
			t.Errorf("%q of %v: %+v, %v; want %s", c.claim, c.value, who, err, c.want)
		}
	}
}

// TestSecretsRotate: what was made with the secret before is good while the workers
// have it, and no longer.
func TestSecretsRotate(t *testing.T) {
	p := newProvider(t, "")
	export := schemas.Export{Name: "A", Connection: "c"}
	grant, err := p.Grant(schemas.Person{Name: "ann", Role: schemas.RoleContributor}, schemas.PurposeSchedule, export, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	in := schemas.AuthorizeInput{Export: export, Grant: grant, StartedAt: noon}
	q := Question{Operation: "x"}
	proof, err := Seal(p.WorkerKey().Key, p.good(nil), q, noon)
	if err != nil {
		t.Fatal(err)
	}
	next := strings.Repeat("next", 10)
	for _, c := range []struct {
		secrets []string
		good    bool
	}{{[]string{next, secret}, true}, {[]string{next}, false}} {
		if p.keys, err = deriveAll(c.secrets); err != nil {
			t.Fatal(err)
		}
		if _, err := p.CheckGrant(in, time.Time{}); (err == nil) != c.good {
			t.Errorf("%d secrets: grant %v", len(c.secrets), err)
		}
		if _, err := p.Person(t.Context(), proof, q, ""); (err == nil) != c.good {
			t.Errorf("%d secrets: proof %v", len(c.secrets), err)
		}
	}
}

func TestWithoutAGateEverybodyIsAnAdministrator(t *testing.T) {
	var g *Gate
	who, err := g.Person(context.Background(), nil, Question{}, "ann")
	if err != nil || who != (schemas.Person{Name: "ann", Role: schemas.RoleAdministrator}) {
		t.Errorf("%+v, %v", who, err)
	}
	grant, err := g.Grant(who, schemas.PurposeRun, schemas.Export{}, time.Time{})
	if grant != nil || err != nil || g.Required() || g.WorkerKey().Required {
		t.Errorf("%+v, %v", grant, err)
	}
	if _, err := g.CheckGrant(schemas.AuthorizeInput{}, time.Time{}); err != nil {
		t.Error(err)
	}
	if err := errors.Join(g.CheckPass(schemas.RunRef{}, "", true), g.CheckPart(schemas.RunRef{}, Part{}, true), g.CheckList(schemas.RunRef{}, "", 1, nil)); err != nil {
		t.Error(err)
	}
}

// FuzzPerson: no text that somebody makes up is a token.
func FuzzPerson(f *testing.F) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	keys := &keySet{keys: []jose.JSONWebKey{{Key: &ec.PublicKey}}, readAt: noon, now: func() time.Time { return noon }}
	tokens := &tokens{o: TokenOptions{Issuer: issuer, Audience: audience, RoleClaim: "roles"}, keys: keys, now: keys.now}
	for _, seed := range []string{"", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", `{"payload":"e30","signatures":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if who, err := tokens.person(t.Context(), token); err == nil {
			t.Errorf("%q is %+v", token, who)
		}
	})
}
