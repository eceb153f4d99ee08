package trigger

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	// amazon matches the hosts of SNS, from which certificates come and where subscriptions
	// are confirmed. The second label is a region: sns.s3-us-west-2.amazonaws.com is a bucket.
	amazon = regexp.MustCompile(`^sns\.([a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2})\.(amazonaws\.com(?:\.cn)?)$`)
	// certificatePath matches the paths of the certificates that SNS signs with.
	certificatePath = regexp.MustCompile(`^/SimpleNotificationService-[0-9a-f]{32}\.pem$`)
	// issuers matches the hosts that serve the certificates of SNS's authorities.
	issuers = regexp.MustCompile(`^([a-z0-9-]+\.)+amazontrust\.com$|^cacerts\.digicert\.com$`)
)

// fromAmazon returns the URL of SNS in a text.
func fromAmazon(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" || !amazon.MatchString(u.Host) {
		return nil, no("the message names a URL that is not of SNS")
	}
	return u, nil
}

// names returns the names that the certificate at a host of SNS may have. In most regions it
// is the first one. AWS's SDK for Java lists the others.
func names(host string) []string {
	m := amazon.FindStringSubmatch(host)
	region, domain := m[1], m[2]
	all := []string{"sns-" + region + "." + domain, "sns-signing." + region + "." + domain, host}
	if domain == "amazonaws.com" {
		all = append([]string{"sns.amazonaws.com"}, all...)
	}
	if strings.HasPrefix(region, "us-gov-") {
		all = append(all, "sns-us-gov-west-1.amazonaws.com")
	}
	return all
}

// sns verifies the signature of a message
// (docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html).
func (v *Verifier) sns(ctx context.Context, body []byte) error {
	var m snsMessage
	if err := json.Unmarshal(body, &m); err != nil || !slices.Contains(v.o.Topics, m.TopicArn) {
		return no("messages of this topic are not accepted here")
	}
	if !slices.Contains(snsTypes, m.Type) {
		return no("messages of this type are not accepted here")
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return no("the signature is not valid")
	}
	key, err := v.certificate(ctx, m.SigningCertURL)
	if err != nil {
		return err
	}
	text := []byte(m.signed())
	hash, sum := crypto.SHA256, sha256.Sum256(text)
	digest := sum[:]
	if m.SignatureVersion == "1" { // what topics use that are not set to version 2
		old := sha1.Sum(text)
		hash, digest = crypto.SHA1, old[:]
	}
	if rsa.VerifyPKCS1v15(key, hash, digest, signature) != nil {
		return no("the signature is not valid")
	}
	return nil
}

// snsTypes are the types of messages. The text that SNS signs ends with the topic and the type, and
// has values with several lines: with another type, a message of anybody's topic could be taken for
// one of ours.
var snsTypes = []string{"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"}

// signed returns the text that SNS signs: names and values, sorted by name.
func (m snsMessage) signed() string {
	fields := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageId}}
	if m.Type == "Notification" {
		if m.Subject != "" {
			fields = append(fields, [2]string{"Subject", m.Subject})
		}
		fields = append(fields, [2]string{"Timestamp", m.Timestamp})
	} else {
		fields = append(fields, [2]string{"SubscribeURL", m.SubscribeURL}, [2]string{"Timestamp", m.Timestamp}, [2]string{"Token", m.Token})
	}
	fields = append(fields, [2]string{"TopicArn", m.TopicArn}, [2]string{"Type", m.Type})
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f[0] + "\n" + f[1] + "\n")
	}
	return b.String()
}

const (
	// mostCerts bounds the certificates that are kept; there is one for each region.
	mostCerts = 100
	// Anyone can send messages that name new certificates. fetchBurst bounds how many are fetched at
	// once, fetchRate how many in a second after that, and mostFetches how many at the same time. So
	// whoever wants to keep real messages from having theirs fetched must send more than fetchRate
	// messages a second, each with another URL.
	fetchBurst, fetchRate = 40, 20
	mostFetches           = 4
	// refusedFor is how long a URL where SNS has no certificate is not asked again. SNS sends a message
	// three more times by default, 20 s apart: a wrong answer must not outlast these. With fetchRate it
	// bounds how many URLs are kept.
	refusedFor = 15 * time.Second
)

// errNotSNS is the error of a URL of which SNS says that it has no certificate.
var errNotSNS = errors.New("the URL that the message names has no certificate of SNS")

// certificate returns the key that SNS signs with.
func (v *Verifier) certificate(ctx context.Context, from string) (*rsa.PublicKey, error) {
	u, err := fromAmazon(from)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "" || !certificatePath.MatchString(u.Path) {
		return nil, no("the message names a URL that is not of a certificate of SNS")
	}
	// A forged message can name the certificate of real ones: if its sender hangs up, they still get it.
	key, err, _ := v.fetching.Do(u.String(), func() (any, error) { return v.known(context.WithoutCancel(ctx), u) })
	if err != nil {
		return nil, err
	}
	return key.(*rsa.PublicKey), nil
}

// known returns the key of the certificate at a URL, which it fetches if it was not before.
func (v *Verifier) known(ctx context.Context, u *url.URL) (*rsa.PublicKey, error) {
	at := u.String()
	v.mu.Lock()
	key, refused := v.certs[at], time.Since(v.refused[at]) < refusedFor
	v.mu.Unlock()
	if key != nil {
		return key, nil
	}
	if refused { // a refusal by the gateway would be final for SNS
		return nil, errNotSNS
	}
	key, err := v.fetch(ctx, u)
	v.mu.Lock()
	defer v.mu.Unlock()
	if errors.Is(err, errNotSNS) {
		maps.DeleteFunc(v.refused, func(_ string, at time.Time) bool { return time.Since(at) >= refusedFor })
		v.refused[at] = time.Now()
	}
	if err != nil {
		return nil, err
	}
	if len(v.certs) >= mostCerts {
		clear(v.certs)
	}
	v.certs[at] = key
	return key, nil
}

// fetch fetches and verifies a certificate, unless too many others are asked for.
func (v *Verifier) fetch(ctx context.Context, u *url.URL) (*rsa.PublicKey, error) {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	default:
		return nil, errTooMany
	}
	if !v.fetches.Allow() {
		return nil, errTooMany
	}
	text, err := v.get(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("fetch the certificate of SNS: %w", err)
	}
	key, err := v.proven(ctx, u.Host, text)
	if err != nil {
		return nil, fmt.Errorf("verify the certificate of SNS: %w", err)
	}
	return key, nil
}

// errTooMany is answered with a status after which SNS sends the message again.
var errTooMany = errors.New("fetch the certificate of SNS: too many others were asked for within a short time")

// proven returns the key of the certificate that a host of SNS serves, once the certificate
// has led to an authority that the system trusts.
func (v *Verifier) proven(ctx context.Context, host string, text []byte) (*rsa.PublicKey, error) {
	if !bytes.HasPrefix(text, []byte("-----BEGIN CERTIFICATE-----")) {
		return nil, errors.New("the answer does not begin with a certificate")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the answer is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("its key is not of RSA")
	}
	if !slices.ContainsFunc(names(host), func(name string) bool { return cert.VerifyHostname(name) == nil }) {
		return nil, fmt.Errorf("it is not for %s", names(host)[0])
	}
	between, err := v.issuer(ctx, cert)
	if err != nil {
		return nil, err
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: v.o.Roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return key, err
}

// issuer returns the certificate of a certificate's issuer. SNS serves only its own, which
// names where to get that one. It needs no encryption: it has to lead to an authority.
func (v *Verifier) issuer(ctx context.Context, cert *x509.Certificate) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, at := range cert.IssuingCertificateURL {
		u, err := url.Parse(at)
		if err != nil || u.User != nil || u.Port() != "" || !issuers.MatchString(u.Host) {
			continue
		}
		der, err := v.get(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("fetch the issuer's: %v", err) // not an answer of SNS
		}
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("parse the issuer's: %w", err)
		}
		pool.AddCert(issuer)
		break
	}
	return pool, nil
}

func (v *Verifier) get(ctx context.Context, u *url.URL) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := v.o.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s answered %s", errNotSNS, u.Host, answer.Status)
	default:
		return nil, fmt.Errorf("%s answered %s", u.Host, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 64<<10))
}

// Confirm confirms a subscription of SNS to this endpoint.
func (v *Verifier) Confirm(ctx context.Context, at string) error {
	u, err := fromAmazon(at)
	if err != nil {
		return err
	}
	if _, err := v.get(ctx, u); err != nil {
		return fmt.Errorf("confirm the subscription of SNS: %w", err)
	}
	return nil
}
