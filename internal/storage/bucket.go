package storage

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	smithy "github.com/aws/smithy-go"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"

	"iterable-segment-export/internal/lease"
)

const azureScheme = "azblob"

// bucketURL is the parsed URL of a bucket, or of a path in it.
type bucketURL struct {
	scheme, bucket string
	// key is the decoded path without leading and trailing slashes; empty for the
	// whole bucket. pattern is the same with encoded wildcards escaped.
	key, pattern string
	// params are the driver's parameters: the account, an endpoint, a region.
	params url.Values
}

// isBucket reports whether where is the URL of a bucket, not a local path or a
// file URL.
func isBucket(where string) bool {
	scheme, _ := splitScheme(where)
	return scheme != "" && scheme != fileScheme
}

// parseBucketURL parses the URLs of gocloud.dev/blob's drivers, and those of Data
// Lake (abfss://container@account.dfs.core.windows.net/path). A ? starts the
// parameters; all other characters outside a percent-encoding are literal.
func parseBucketURL(where string) (b bucketURL, err error) {
	scheme, rest := splitScheme(where)
	rest, query, _ := strings.Cut(rest, "?")
	if b.params, err = url.ParseQuery(query); err != nil {
		return b, fmt.Errorf("parse the URL's parameters: %w", err)
	}
	b.scheme = scheme
	host, path, _ := strings.Cut(rest, "/")
	b.bucket = host
	if scheme == "abfss" || scheme == "abfs" {
		if err := b.dataLake(host); err != nil {
			return b, err
		}
	}
	if !blob.DefaultURLMux().ValidBucketScheme(b.scheme) {
		return b, fmt.Errorf("unknown scheme %s://; use a local path, file://, azblob://, abfss://, s3:// or gs://", scheme)
	}
	if strings.ContainsAny(b.bucket, "@:%") {
		return b, fmt.Errorf("%q is not a valid bucket name", b.bucket)
	}
	if b.key, err = url.PathUnescape(path); err != nil {
		return b, fmt.Errorf("the URL's percent-encoding is invalid: %w", err)
	}
	b.key, b.pattern = strings.Trim(b.key, "/"), strings.Trim(decodePattern(path), "/")
	return b, checkPath(b.key)
}

// dataLake translates the host of a Data Lake URL to Azure Blob Storage, which
// serves the same data.
func (b *bucketURL) dataLake(host string) error {
	container, endpoint, ok := strings.Cut(host, "@")
	account, domain, dotted := strings.Cut(endpoint, ".")
	suffix, isDFS := strings.CutPrefix(domain, "dfs.")
	if !ok || !dotted || !isDFS || container == "" || account == "" || len(b.params) > 0 {
		return errors.New("not a Data Lake URL: write it like abfss://container@account.dfs.core.windows.net/path")
	}
	b.scheme, b.bucket = azureScheme, container
	b.params = url.Values{"storage_account": {account}}
	if suffix != "core.windows.net" {
		b.params.Set("domain", "blob."+suffix)
	}
	return nil
}

// checkPath rejects paths that could lead out of a folder, or that the service
// could interpret differently.
func checkPath(key string) error {
	if !utf8.ValidString(key) || strings.ContainsFunc(key, func(c rune) bool { return c < 32 || c == 127 }) {
		return errors.New("the path has control characters or is not UTF-8")
	}
	if key == "" {
		return nil
	}
	for _, e := range pathElements(key) {
		if e == "." || e == ".." {
			return fmt.Errorf("%q can't be used in the path of a bucket", e)
		}
	}
	if strings.Contains(key, "//") {
		return errors.New("the path has two slashes in a row")
	}
	return nil
}

// root returns the URL of the bucket itself, with its parameters sorted.
func (b bucketURL) root() string {
	u := b.scheme + "://" + b.bucket
	if len(b.params) > 0 {
		u += "?" + b.params.Encode()
	}
	return u
}

// object returns the URL of the object with that key.
func (b bucketURL) object(key string) string {
	u := url.URL{Scheme: b.scheme, Host: b.bucket, Path: "/" + key, RawQuery: b.params.Encode()}
	return u.String()
}

// String returns the URL without its parameters, for messages.
func (b bucketURL) String() string { return b.scheme + "://" + b.bucket + "/" + b.key }

// buckets are the open buckets of the process by their URL. They stay open, since
// finding credentials can need requests.
var buckets = struct {
	sync.Mutex
	open map[string]*blob.Bucket
}{open: map[string]*blob.Bucket{}}

func (b bucketURL) open(ctx context.Context) (*blob.Bucket, error) {
	buckets.Lock()
	defer buckets.Unlock()
	where := b.root()
	if bucket := buckets.open[where]; bucket != nil {
		return bucket, nil
	}
	bucket, err := b.dial(ctx)
	if err == nil {
		buckets.open[where] = bucket
	}
	return bucket, err
}

// dial opens the bucket with the credentials that the cloud's own tools would use.
func (b bucketURL) dial(ctx context.Context) (*blob.Bucket, error) {
	if b.bucket == "" && b.scheme != "mem" {
		return nil, fmt.Errorf("%s:// must be followed by the name of a bucket", b.scheme)
	}
	bucket, err := blob.OpenBucket(context.WithoutCancel(ctx), b.root())
	if err != nil {
		return nil, fmt.Errorf("open %s://%s: %w", b.scheme, b.bucket, reason(err))
	}
	return bucket, nil
}

// holds reports whether other is the same path or one below it, in the same bucket
// with the same parameters. Parameters that other leaves out count as the same.
func (b bucketURL) holds(other bucketURL) bool {
	if b.scheme != other.scheme || b.bucket != other.bucket {
		return false
	}
	mine := b.withoutDefaults()
	for name, values := range other.withoutDefaults() {
		if len(values) != 1 || len(mine[name]) != 1 || mine[name][0] != values[0] {
			return false
		}
	}
	return b.key == "" || other.key == b.key || strings.HasPrefix(other.key, b.key+"/")
}

// withoutDefaults returns the parameters that differ from the environment's.
func (b bucketURL) withoutDefaults() url.Values {
	out := url.Values{}
	for name, values := range b.params {
		if b.scheme == azureScheme && name == "storage_account" && len(values) == 1 && values[0] == azureAccount() {
			continue
		}
		out[name] = values
	}
	return out
}

// ErrUnavailable is the error of a bucket that fails or does not answer. A retry
// may succeed.
var ErrUnavailable = errors.New("the storage does not answer as it should")

// named returns a source as it is named in errors: without a bucket's parameters, which come from
// the administrators' allowed place and name its endpoint.
func named(source string) string {
	if isBucket(source) {
		source, _, _ = strings.Cut(source, "?")
	}
	return source
}

// reason returns a driver's error as one line without secrets, and without the addresses of servers:
// contributors and viewers see it. (The drivers' texts
// contain whole requests and responses, including tokens in URLs.) The result is
// fs.ErrNotExist, fs.ErrPermission, a context's error, ErrChanged, an error of
// package lease, or otherwise ErrUnavailable.
func reason(err error) error {
	status, text := 0, ""
	var az *azcore.ResponseError
	var aws smithy.APIError
	var google *googleapi.Error
	var call *url.Error
	var file *fs.PathError
	var dial *net.OpError
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, ErrChanged), errors.Is(err, ErrUnavailable),
		errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrUnanswered):
		return err
	case errors.As(err, &az):
		status, text = az.StatusCode, fmt.Sprintf("%d %s", az.StatusCode, az.ErrorCode)
	case errors.As(err, &google):
		status, text = google.Code, fmt.Sprintf("%d %s", google.Code, firstLine(google.Message))
	case errors.As(err, &aws):
		text = firstLine(aws.ErrorCode() + " " + aws.ErrorMessage())
	case errors.As(err, &name):
		text = name.Err
	case errors.As(err, &certificate):
		text = "its certificate is not valid here"
	case errors.As(err, &dial):
		text = firstLine(dial.Err.Error())
	case errors.As(err, &call):
		text = firstLine(call.Err.Error())
	case errors.As(err, &file): // without its path, which could fill the line
		text = file.Err.Error()
	default:
		text = firstLine(err.Error())
	}
	code := gcerrors.Code(err)
	switch {
	case code == gcerrors.FailedPrecondition, status == 412:
		return fmt.Errorf("%w: it was replaced", ErrChanged)
	case code == gcerrors.PermissionDenied, status == 401, status == 403:
		return fmt.Errorf("%w (%s)", fs.ErrPermission, text)
	case code == gcerrors.NotFound, status == 404:
		return fmt.Errorf("%w (%s)", fs.ErrNotExist, text)
	}
	return fmt.Errorf("%w: %s", ErrUnavailable, text)
}

// firstLine returns the first line of a text, at most 300 bytes of it, without a
// URL's parameters.
func firstLine(text string) string {
	const most = 300
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if query := strings.IndexByte(text, '?'); query >= 0 && strings.Contains(text, "://") {
		text = text[:query]
	}
	return text[:min(len(text), most)]
}
