package trigger

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// amazonSNS stands in for SNS: it signs messages, and serves its certificate and that of
// the issuer.
type amazonSNS struct {
	t            *testing.T
	key, other   *rsa.PrivateKey
	root, issuer *x509.Certificate
	cert         []byte   // what it serves as its certificate
	got          []string // URLs
	refuses      string   // the URLs that it answers 403 begin with this, unless it is empty
}

const issuedAt = "http://crt.r2m01.amazontrust.com/r2m01.cer"

func newSNS(t *testing.T) *amazonSNS {
	t.Helper()
	a := &amazonSNS{t: t}
	for _, key := range []**rsa.PrivateKey{&a.key, &a.other} {
		var err error
		if *key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	a.root = a.authority("Amazon Root CA 1", nil)
	a.issuer = a.authority("Amazon RSA 2048 M01", a.root)
	a.cert = a.leaf(a.issuer, nil)
	return a
}

// issue returns a certificate that parent has issued, or that issues itself.
func (a *amazonSNS) issue(c, parent *x509.Certificate, key *rsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	c.SerialNumber, c.BasicConstraintsValid = big.NewInt(1), true
	if c.NotAfter.IsZero() {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.other)
	if err != nil {
		a.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

func (a *amazonSNS) authority(name string, parent *x509.Certificate) *x509.Certificate {
	return a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, parent, a.other)
}

// leaf returns the certificate that SNS signs with, after change has changed it, as PEM.
func (a *amazonSNS) leaf(parent *x509.Certificate, change func(*x509.Certificate)) []byte {
	c := &x509.Certificate{Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, DNSNames: []string{"sns.amazonaws.com"}, IssuingCertificateURL: []string{issuedAt}}
	if change != nil {
		change(c)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.issue(c, parent, a.key).Raw})
}

// options are for a Verifier that trusts it.
func (a *amazonSNS) options() Options {
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	return Options{Topics: []string{"arn:aws:sns:us-west-2:123456789012:segments"}, HTTP: &http.Client{Transport: a}, Roots: roots}
}

func (a *amazonSNS) RoundTrip(r *http.Request) (*http.Response, error) {
	a.got = append(a.got, r.URL.String())
	if a.refuses != "" && strings.HasPrefix(r.URL.String(), a.refuses) {
		return &http.Response{StatusCode: http.StatusForbidden, Status: "403 Forbidden", Body: http.NoBody, Request: r}, nil
	}
	body := a.cert
	if r.URL.String() == issuedAt {
		body = a.issuer.Raw
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// signed signs an example, after change has changed it.
func (a *amazonSNS) signed(name, version string, change func(*snsMessage)) []byte {
	a.t.Helper()
	var m snsMessage
	if err := json.Unmarshal(example(a.t, name), &m); err != nil {
		a.t.Fatal(err)
	}
	m.Timestamp, m.SignatureVersion = time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), version
	if change != nil {
		change(&m)
	}
	sum, old := sha256.Sum256([]byte(m.signed())), sha1.Sum([]byte(m.signed()))
	hash, digest := crypto.SHA256, sum[:]
	if version == "1" {
		hash, digest = crypto.SHA1, old[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, hash, digest)
	if err != nil {
		a.t.Fatal(err)
	}
	m.Signature = base64.StdEncoding.EncodeToString(signature)
	body, err := json.Marshal(m)
	if err != nil {
		a.t.Fatal(err)
	}
	return body
}

func TestSNSSigns(t *testing.T) {
	a := newSNS(t)
	v := verifier(t, a.options())
	event := func(body []byte) (Message, error) {
		_, m, err := v.Event(post("/v1/events", body), body)
		return m, err
	}
	for _, version := range []string{"1", "2"} {
		if m, err := event(a.signed("sns.json", version, nil)); err != nil || len(m.Objects) != 1 {
			t.Errorf("version %s: %+v, %v", version, m, err)
		}
		if m, err := event(a.signed("sns.json", version, func(m *snsMessage) { m.Subject = "" })); err != nil || len(m.Objects) != 1 {
			t.Errorf("version %s, no subject: %+v, %v", version, m, err)
		}
	}
	m, err := event(a.signed("sns-confirm.json", "2", nil))
	if err != nil || m.Confirm == "" {
		t.Fatalf("%+v, %v", m, err)
	}
	if err := v.Confirm(t.Context(), m.Confirm); err != nil || a.got[len(a.got)-1] != m.Confirm {
		t.Errorf("%v, %v", err, a.got)
	}
	if len(a.got) != 3 { // the certificate, its issuer's, and the confirmation
		t.Errorf("the certificate was fetched again: %v", a.got)
	}

	good := a.signed("sns.json", "2", nil)
	_, err = event(bytes.Replace(good, []byte("vip/a.parquet"), []byte("vip/b.parquet"), 1))
	refused(t, "another message", err)
	_, err = event(a.signed("sns.json", "2", func(m *snsMessage) { m.TopicArn = "arn:aws:sns:us-west-2:666:theirs" }))
	refused(t, "another topic", err)
	_, err = event(ofOurTopic(t, a))
	refused(t, "another topic, hidden in the type", err)
	_, err = event(a.signed("sns.json", "2", func(m *snsMessage) { m.Timestamp = "2020-01-01T00:00:00.000Z" }))
	refused(t, "an old message", err)
	asked := len(a.got)
	const path = "/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem"
	for _, host := range []string{"sns.us-west-2.amazonaws.com.evil.example", "evil@sns.us-west-2.amazonaws.com", "sns.us-west-2.amazonaws.com:8443", "s3.us-west-2.amazonaws.com",
		"sns.s3-us-west-2.amazonaws.com", "sns.s3.amazonaws.com", "sns.s3-website-us-west-2.amazonaws.com", "sns.evil.amazonaws.com", "SNS.us-west-2.amazonaws.com"} {
		_, err = event(a.signed("sns.json", "2", func(m *snsMessage) { m.SigningCertURL = "https://" + host + path }))
		refused(t, host, err)
		refused(t, "a confirmation at "+host, v.Confirm(t.Context(), "https://"+host+"/?Action=ConfirmSubscription"))
	}
	for _, from := range []string{"http://sns.us-west-2.amazonaws.com" + path, "file://sns.us-west-2.amazonaws.com" + path, "https://sns.us-west-2.amazonaws.com/c.pem", "https://sns.us-west-2.amazonaws.com" + path + "?x",
		"https://sns.us-west-2.amazonaws.com/?Action=GetTopicAttributes", "https://sns.us-west-2.amazonaws.com/x" + path, "https://sns.us-west-2.amazonaws.com" + path + "#x"} {
		_, err = event(a.signed("sns.json", "2", func(m *snsMessage) { m.SigningCertURL = from }))
		refused(t, from, err)
	}
	if len(a.got) != asked {
		t.Errorf("asked %v", a.got[asked:])
	}
	refused(t, "a confirmation elsewhere", v.Confirm(t.Context(), "https://evil.example/"))
	_, _, err = verifier(t, Options{Key: file(t, strings.Repeat("k", 32))}).Event(post("/v1/events", good), good)
	refused(t, "no topics", err)
}

// ofOurTopic returns a message that SNS has signed for a topic of the attacker, as one of our topic:
// the lines of the text that it has signed are divided among other fields.
func ofOurTopic(t *testing.T, a *amazonSNS) []byte {
	t.Helper()
	forged := snsMessage{
		Message: "{}", MessageId: "forged", SubscribeURL: "https://sns.us-west-2.amazonaws.com/", Token: "t",
		Timestamp: time.Now().UTC().Format(time.RFC3339), TopicArn: a.options().Topics[0], Type: "any",
	}
	var theirs snsMessage
	body := a.signed("sns.json", "2", func(m *snsMessage) {
		m.TopicArn, m.Subject = "arn:aws:sns:us-west-2:666:theirs", ""
		m.Message = strings.TrimSuffix(strings.TrimPrefix(forged.signed(), "Message\n"), "\n")
		theirs = *m
	})
	text := theirs.signed()
	forged.Type = strings.TrimSuffix(text[strings.Index(text, "any\n"):], "\n")
	if forged.signed() != text {
		t.Fatalf("the texts differ:\n%s\n%s", forged.signed(), text)
	}
	if err := json.Unmarshal(body, &theirs); err != nil {
		t.Fatal(err)
	}
	forged.Signature, forged.SigningCertURL, forged.SignatureVersion = theirs.Signature, theirs.SigningCertURL, theirs.SignatureVersion
	body, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestTheCertificateOfSNSIsProven: what a host serves is taken only if an authority has
// issued it to SNS.
func TestTheCertificateOfSNSIsProven(t *testing.T) {
	a := newSNS(t)
	named := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	forged := a.authority("Amazon RSA 2048 M01", nil)
	for what, c := range map[string]struct {
		cert []byte
		good bool
	}{
		"as in most regions":    {a.leaf(a.issuer, nil), true},
		"the name of the host":  {a.leaf(a.issuer, named("sns.us-west-2.amazonaws.com")), true},
		"as in newer regions":   {a.leaf(a.issuer, named("sns-signing.us-west-2.amazonaws.com")), true},
		"of another region":     {a.leaf(a.issuer, named("sns.eu-west-1.amazonaws.com")), false},
		"of another service":    {a.leaf(a.issuer, named("s3.amazonaws.com", "*.s3.amazonaws.com")), false},
		"no name":               {a.leaf(a.issuer, named()), false},
		"of its own":            {a.leaf(nil, nil), false},
		"of a forged authority": {a.leaf(forged, func(c *x509.Certificate) { c.IssuingCertificateURL = nil }), false},
		"an issuer elsewhere":   {a.leaf(a.issuer, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://127.0.0.1/r2m01.cer"} }), false},
		"expired": {a.leaf(a.issuer, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}), false},
		"somewhere in the answer": {append([]byte("<Error>x</Error>\n"), a.leaf(a.issuer, nil)...), false},
		"nothing":                 {nil, false},
	} {
		a.cert, a.got = c.cert, nil
		body := a.signed("sns.json", "2", nil)
		_, _, err := verifier(t, a.options()).Event(post("/v1/events", body), body)
		if (err == nil) != c.good {
			t.Errorf("%s: %v", what, err)
		}
		for _, u := range a.got {
			if strings.Contains(u, "127.0.0.1") {
				t.Errorf("%s: asked %s", what, u)
			}
		}
	}
	if n := names("sns.cn-north-1.amazonaws.com.cn"); n[0] != "sns-cn-north-1.amazonaws.com.cn" || len(n) != 3 {
		t.Errorf("%v", n)
	}
}

// forgedURL returns a URL that could be of a certificate of SNS, another one for each i.
func forgedURL(i int) string {
	return fmt.Sprintf("https://sns.us-west-2.amazonaws.com/SimpleNotificationService-%032x.pem", i)
}

// TestForgedMessagesDoNotReachSNS: each names another certificate, and whoever sends many makes few
// requests. What real messages are signed with is known.
func TestForgedMessagesDoNotReachSNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSNS(t)
		v := verifier(t, a.options())
		event := func(body []byte) error {
			_, _, err := v.Event(post("/v1/events", body), body)
			return err
		}
		good := a.signed("sns.json", "2", nil)
		if err := event(good); err != nil {
			t.Fatal(err)
		}
		a.got, a.refuses = nil, "https://sns."
		forge := func(i int) {
			if event(a.signed("sns.json", "2", func(m *snsMessage) { m.SigningCertURL = forgedURL(i) })) == nil {
				t.Fatal("a forged message is accepted")
			}
		}
		for i := range 200 {
			forge(i)
		}
		if len(a.got) != fetchBurst-1 {
			t.Errorf("200 forged messages made %d requests", len(a.got))
		}
		if err := event(good); err != nil {
			t.Errorf("a real message meanwhile: %v", err)
		}
		time.Sleep(fetchBurst * time.Second)
		a.got = nil
		for range 200 {
			forge(1)
		}
		if len(a.got) > 1 {
			t.Errorf("200 forged messages with one URL made %d requests", len(a.got))
		}
		time.Sleep(refusedFor)
		forge(300)
		if len(v.refused) != 1 {
			t.Errorf("%d URLs are kept after their time", len(v.refused))
		}
	})
}

// TestAWrongAnswerDelaysARealMessageLittle: SNS sends it again within a minute, and it is accepted once the
// cause is gone.
func TestAWrongAnswerDelaysARealMessageLittle(t *testing.T) {
	for what, c := range map[string]struct {
		refuses string
		broken  bool
		after   time.Duration
	}{
		"SNS answers 403":        {refuses: "https://sns.", after: refusedFor},
		"the issuer answers 403": {refuses: "http://crt."},
		"a proxy's page":         {broken: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newSNS(t)
			v := verifier(t, a.options())
			cert := a.cert
			if a.refuses = c.refuses; c.broken {
				a.cert = []byte("<html>")
			}
			body := a.signed("sns.json", "2", nil)
			if _, _, err := v.Event(post("/v1/events", body), body); err == nil {
				t.Fatalf("%s: accepted", what)
			}
			a.refuses, a.cert = "", cert
			time.Sleep(c.after)
			if _, _, err := v.Event(post("/v1/events", body), body); err != nil {
				t.Errorf("%s: after %s: %v", what, c.after, err)
			}
		})
	}
	if refusedFor >= 20*time.Second {
		t.Error("a refusal outlasts a retry of SNS")
	}
}

// TestForgedMessagesDoNotDelayRealOnes: a gateway that has just started knows no certificate. Somebody
// who has sent it ten forged messages each second for a minute, and half a thousand at once before,
// has not used up what real messages need.
func TestForgedMessagesDoNotDelayRealOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSNS(t)
		v := verifier(t, a.options())
		a.refuses = "https://sns."
		forge := func(i int) {
			body := a.signed("sns.json", "2", func(m *snsMessage) { m.SigningCertURL = forgedURL(i) })
			if _, _, err := v.Event(post("/v1/events", body), body); err == nil {
				t.Fatal("a forged message is accepted")
			}
		}
		for i := range 500 {
			forge(i)
		}
		for i := range 600 { // a minute
			time.Sleep(time.Second / 10)
			forge(1000 + i)
		}
		a.refuses = ""
		good := a.signed("sns.json", "2", nil)
		if _, _, err := v.Event(post("/v1/events", good), good); err != nil {
			t.Errorf("the first real message: %v", err)
		}
	})
}

// TestAForgerWhoHangsUpDelaysNobody: the certificate of real messages is fetched for a forged one, whose
// sender hangs up. A real message that came meanwhile gets it.
func TestAForgerWhoHangsUpDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSNS(t)
		answers := make(chan struct{})
		o := a.options()
		o.HTTP = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			select {
			case <-answers:
				return a.RoundTrip(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})}
		v := verifier(t, o)
		event := func(ctx context.Context, body []byte) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, _, err := v.Event(post("/v1/events", body).WithContext(ctx), body)
				done <- err
			}()
			synctest.Wait()
			return done
		}
		ctx, hangUp := context.WithCancel(t.Context())
		genuine := a.signed("sns.json", "2", nil)
		forged := event(ctx, bytes.Replace(genuine, []byte("vip/a.parquet"), []byte("vip/b.parquet"), 1))
		good := event(t.Context(), genuine)
		hangUp()
		synctest.Wait()
		close(answers)
		if err := <-good; err != nil {
			t.Errorf("a real message: %v", err)
		}
		if err := <-forged; err == nil {
			t.Error("a forged message is accepted")
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
