package login

import (
	"encoding/base64"
	"testing"

	"golang.org/x/oauth2"
)

// TestTheTokenForTheGatewayIsStored: providers write an audience as a text or as a list, and some
// access tokens are for another audience or are not JWTs.
func TestTheTokenForTheGatewayIsStored(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	id := token(`{"aud": "exports", "exp": 1800000000}`)
	for _, access := range []string{token(`{"aud": "exports", "exp": 1800000000}`), token(`{"aud": ["other", "exports"], "exp": 1800000000.5}`)} {
		l := Login{}
		l.Audience = "exports"
		l.set((&oauth2.Token{AccessToken: access}).WithExtra(map[string]any{"id_token": id}))
		if l.Token != access || expiry(l.Token).Unix() != 1800000000 {
			t.Errorf("%q was stored, which expires at %s", l.Token, expiry(l.Token))
		}
	}
	for _, access := range []string{"opaque", token(`{"aud": "other"}`), token(`{}`), token(`no JSON`), "a.!.b"} {
		l := Login{}
		l.Audience = "exports"
		l.set((&oauth2.Token{AccessToken: access}).WithExtra(map[string]any{"id_token": id}))
		if l.Token != id {
			t.Errorf("%q was stored", l.Token)
		}
	}
}
