package trigger

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"iterable-segment-export/internal/access"
	"iterable-segment-export/internal/access/accesstest"
	"iterable-segment-export/schemas"
)

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func verifier(t *testing.T, o Options) *Verifier {
	t.Helper()
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// refused fails the test unless the sender has not proven who it is.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !access.IsRefused(err, schemas.ErrorProof) {
		t.Errorf("%s: %v", what, err)
	}
}

func secret(seed byte) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{seed}, 32))
}

// sign returns the headers of a signed request.
func sign(t *testing.T, secret, id string, at time.Time, body []byte) http.Header {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := hook.Sign(id, at, body)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, big.NewInt(at.Unix()).String())
	h.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return h
}

func TestSignedRequests(t *testing.T) {
	secrets := file(t, "# who starts runs\nairflow "+secret(1)+"\nairflow "+secret(2)+"\n\ndagster "+secret(3)+"\n")
	v := verifier(t, Options{Secrets: secrets})
	body, now := []byte(`{"dag":"segments"}`), time.Now()
	for seed, want := range map[byte]string{1: "airflow", 2: "airflow", 3: "dagster"} {
		if who, id, err := v.Webhook(sign(t, secret(seed), "msg_1", now, body), body); err != nil || who != want || id != "msg_1" {
			t.Errorf("%d: %q %q %v", seed, who, id, err)
		}
	}
	_, _, err := v.Webhook(sign(t, secret(4), "msg_1", now, body), body)
	refused(t, "another secret", err)
	_, _, err = v.Webhook(sign(t, secret(1), "msg_1", now, body), []byte(`{"dag":"other"}`))
	refused(t, "another body", err)
	forged := sign(t, secret(1), "msg_1", now, body)
	forged.Set(standardwebhooks.HeaderWebhookID, "msg_2")
	_, _, err = v.Webhook(forged, body)
	refused(t, "another ID", err)
	_, _, err = v.Webhook(sign(t, secret(1), "msg_1", now.Add(-6*time.Minute), body), body)
	refused(t, "a replay after six minutes", err)
	_, _, err = v.Webhook(http.Header{}, body)
	refused(t, "no signature", err)
	_, _, err = verifier(t, Options{Key: file(t, strings.Repeat("k", 32))}).Webhook(sign(t, secret(1), "msg_1", now, body), body)
	refused(t, "no secrets", err)

	if err := os.WriteFile(secrets, []byte("airflow "+secret(5)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Webhook(sign(t, secret(5), "msg_3", now, body), body); err != nil {
		t.Errorf("after the file was replaced: %v", err)
	}
	_, _, err = v.Webhook(sign(t, secret(1), "msg_3", now, body), body)
	refused(t, "a secret that was taken out", err)
}

func TestSecretsThatAreNone(t *testing.T) {
	for text, want := range map[string]string{
		"airflow": "line 1 must have a name and a secret", "a b c": "line 1", "airflow whsec_eA==": "at least 24 bytes", "\nairflow ???": "line 2",
	} {
		if _, err := New(Options{Secrets: file(t, text)}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "???") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := New(Options{Key: file(t, "short")}); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("%v", err)
	}
	if _, err := New(Options{Topics: []string{"segments"}}); err == nil {
		t.Error("a topic without an ARN")
	}
}

func post(target string, body []byte) *http.Request {
	return httptest.NewRequest(http.MethodPost, target, bytes.NewReader(body))
}

func TestEventGridHasAKey(t *testing.T) {
	key := strings.Repeat("k", 32)
	v := verifier(t, Options{Key: file(t, key+"\n")})
	fresh := bytes.ReplaceAll(example(t, "grid.json"), []byte("2026-06-26"), []byte(time.Now().UTC().Format(time.DateOnly)))
	for what, r := range map[string]*http.Request{"no key": post("/v1/events", fresh), "another key": post("/v1/events?key="+strings.Repeat("x", 32), fresh)} {
		_, _, err := v.Event(r, fresh)
		refused(t, what, err)
	}
	r := post("/v1/events", fresh)
	r.Header.Set("Trigger-Key", key)
	for what, r := range map[string]*http.Request{"header": r, "parameter": post("/v1/events?key="+key, fresh)} {
		if from, m, err := v.Event(r, fresh); err != nil || from != EventGrid || len(m.Objects) != 2 {
			t.Errorf("%s: %s %+v %v", what, from, m, err)
		}
	}
	old := bytes.ReplaceAll(example(t, "grid.json"), []byte("2026-06-26"), []byte("2020-06-26"))
	_, _, err := v.Event(post("/v1/events?key="+key, old), old)
	refused(t, "an old event", err)
	s3 := example(t, "s3.json")
	_, _, err = v.Event(post("/v1/events?key="+key, s3), s3)
	refused(t, "an event of S3 with that key", err)
}

func TestPubSubHasAToken(t *testing.T) {
	provider := accesstest.New(t)
	const account = "push@project.iam.gserviceaccount.com"
	o := provider.Options()
	o.Roles, o.RoleClaim = schemas.RoleViewer+"=*", ""
	tokens, err := access.NewTokens(o)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, Options{Google: tokens, Account: account})
	body := bytes.ReplaceAll(example(t, "pubsub.json"), []byte("2026-02-26T19:13:55"), []byte(time.Now().UTC().Format("2006-01-02T15:04:05")))
	push := func(email string, verified bool) error {
		claims := provider.Claims("112233", schemas.RoleViewer)
		claims["email"], claims["email_verified"] = email, verified
		r := post("/v1/events", body)
		r.Header.Set("Authorization", "Bearer "+provider.Sign(claims, nil))
		_, _, err := v.Event(r, body)
		return err
	}
	if err := push(account, true); err != nil {
		t.Error(err)
	}
	refused(t, "another account", push("eve@example.com", true))
	refused(t, "an address that is not verified", push(account, false))
	_, _, err = v.Event(post("/v1/events", body), body)
	refused(t, "no token", err)
	r := post("/v1/events", body)
	r.Header.Set("Authorization", "Bearer "+accesstest.New(t).Token(account, schemas.RoleViewer))
	_, _, err = v.Event(r, body)
	refused(t, "another issuer", err)

	o.Issuer = "http://127.0.0.1:1"
	if tokens, err = access.NewTokens(o); err != nil {
		t.Fatal(err)
	}
	v = verifier(t, Options{Google: tokens, Account: account})
	if err := push(account, true); !errors.Is(err, access.ErrProvider) {
		t.Errorf("while Google can't be reached: %v", err)
	}
}

// TestSendersAreOff whose setting is empty, while others are accepted.
func TestSendersAreOff(t *testing.T) {
	v := verifier(t, Options{Secrets: file(t, "airflow "+secret(1))})
	for name, want := range map[string]string{
		"grid.json": "Event Grid is not accepted here", "pubsub.json": "Pub/Sub is not accepted here",
	} {
		body := example(t, name)
		r := post("/v1/events?key=", body)
		r.Header.Set("Authorization", "Bearer token")
		_, _, err := v.Event(r, body)
		if refused(t, name, err); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	refused(t, "the question whether Event Grid may send", v.Grid(post("/v1/events?key=", nil)))
}

// TestASignedEventOfS3 is what a program sends that takes events from SQS.
func TestASignedEventOfS3(t *testing.T) {
	v := verifier(t, Options{Secrets: file(t, "sqs "+secret(1))})
	body := example(t, "sqs-lambda.json")
	_, _, err := v.Event(post("/v1/events", body), body)
	refused(t, "no signature", err)
	r := post("/v1/events", body)
	r.Header = sign(t, secret(1), "msg_1", time.Now(), body)
	if from, m, err := v.Event(r, body); err != nil || from != "sqs" || m.ID != "msg_1" || len(m.Objects) != 2 {
		t.Errorf("%s %+v %v", from, m, err)
	}
	nothing := []byte("{}")
	if _, _, err := v.Event(post("/v1/events", nothing), nothing); !access.IsRefused(err, schemas.ErrorBadRequest) {
		t.Errorf("%v", err)
	}
}
