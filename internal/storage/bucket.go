package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
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

// bucketURL is a parsed URL of a bucket, or of a place in it.
type bucketURL struct {
	scheme, bucket string
	// key is the path, decoded, with no slash at its ends; empty for the whole
	// bucket. pattern is the same with encoded wildcards escaped.
	key, pattern string
	// params say where the bucket is: the account, an endpoint, a region. They
	// are the driver's own.
	params url.Values
}

// isBucket tells bucket URLs from local paths and file URLs.
func isBucket(where string) bool {
	scheme, _ := splitScheme(where)
	return scheme != "" && scheme != fileScheme
}

// parseBucketURL understands the URLs of gocloud.dev/blob's drivers, and those
// of Data Lake (abfss://container@account.dfs.core.windows.net/path). Whatever is
// no percent-encoding stands for itself, but that a ? begins the parameters.
func parseBucketURL(where string) (b bucketURL, err error) {
	scheme, rest := splitScheme(where)
	rest, query, _ := strings.Cut(rest, "?")
	if b.params, err = url.ParseQuery(query); err != nil {
		return b, fmt.Errorf("the URL's parameters can't be read: %w", err)
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
		return b, fmt.Errorf("%s:// is not a kind of place that this program knows; local paths, file://, azblob://, abfss://, s3:// and gs:// are", scheme)
	}
	if strings.ContainsAny(b.bucket, "@:%") {
		return b, fmt.Errorf("%q is not the name of a bucket", b.bucket)
	}
	if b.key, err = url.PathUnescape(path); err != nil {
		return b, fmt.Errorf("the URL has a wrong percent-encoding: %w", err)
	}
	b.key, b.pattern = strings.Trim(b.key, "/"), strings.Trim(decodePattern(path), "/")
	return b, checkPath(b.key)
}

// dataLake turns the parts of Data Lake's URLs into those of Azure Blob Storage,
// which serves the same data.
func (b *bucketURL) dataLake(host string) error {
	container, endpoint, ok := strings.Cut(host, "@")
	account, domain, dotted := strings.Cut(endpoint, ".")
	suffix, isDFS := strings.CutPrefix(domain, "dfs.")
	if !ok || !dotted || !isDFS || container == "" || account == "" || len(b.params) > 0 {
		return fmt.Errorf("a Data Lake URL looks like abfss://container@account.dfs.core.windows.net/path")
	}
	b.scheme, b.bucket = azureScheme, container
	b.params = url.Values{"storage_account": {account}}
	if suffix != "core.windows.net" {
		b.params.Set("domain", "blob."+suffix)
	}
	return nil
}

// checkPath refuses what could lead out of a folder, or mean something else to
// the service than to this program.
func checkPath(key string) error {
	if !utf8.ValidString(key) || strings.ContainsFunc(key, func(c rune) bool { return c < 32 || c == 127 }) {
		return errors.New("the path has characters that no name has")
	}
	if key == "" {
		return nil
	}
	for _, e := range strings.FieldsFunc(key, func(c rune) bool { return strings.ContainsRune(`/{},\`, c) }) {
		if e == "." || e == ".." {
			return fmt.Errorf("%q has no meaning in a bucket", e)
		}
	}
	if strings.Contains(key, "//") {
		return errors.New("the path has two slashes in a row")
	}
	return nil
}

// root is the URL of the bucket itself, with its parameters in order.
func (b bucketURL) root() string {
	u := b.scheme + "://" + b.bucket
	if len(b.params) > 0 {
		u += "?" + b.params.Encode()
	}
	return u
}

// object is the URL of an object in the bucket.
func (b bucketURL) object(key string) string {
	u := url.URL{Scheme: b.scheme, Host: b.bucket, Path: "/" + key, RawQuery: b.params.Encode()}
	return u.String()
}

// String is the URL without its parameters, for people.
func (b bucketURL) String() string { return b.scheme + "://" + b.bucket + "/" + b.key }

// buckets are the open buckets of the process, by their URL. Opening one finds
// credentials, which can take requests of its own; so it stays open.
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

// dial opens the bucket anew, with the credentials that the cloud's own tools
// find.
func (b bucketURL) dial(ctx context.Context) (*blob.Bucket, error) {
	if b.bucket == "" && b.scheme != "mem" {
		return nil, fmt.Errorf("%s:// needs the name of a bucket after it", b.scheme)
	}
	bucket, err := blob.OpenBucket(context.WithoutCancel(ctx), b.root())
	if err != nil {
		return nil, fmt.Errorf("open %s://%s: %w", b.scheme, b.bucket, reason(err))
	}
	return bucket, nil
}

// holds tells whether another place lies in this one, or is it: the same bucket,
// reached in the same way, and a path below this one's. A place that leaves
// parameters out takes this one's.
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

// withoutDefaults are the parameters less those that say what the environment
// says too.
func (b bucketURL) withoutDefaults() url.Values {
	out := url.Values{}
	for name, values := range b.params {
		if b.scheme == azureScheme && name == "storage_account" && len(values) == 1 && values[0] == os.Getenv("AZURE_STORAGE_ACCOUNT") {
			continue
		}
		out[name] = values
	}
	return out
}

// ErrUnavailable is the error of a bucket that does not answer as it should. It
// may do so later.
var ErrUnavailable = errors.New("the storage does not answer as it should")

// reason says in one line, with nothing secret in it, what a driver's error is
// about: the drivers' own texts show whole requests and responses, tokens in
// their URLs included. It is fs.ErrNotExist, fs.ErrPermission, a context's error,
// ErrChanged, one of package lease, or else ErrUnavailable.
func reason(err error) error {
	status, text := 0, ""
	var az *azcore.ResponseError
	var aws smithy.APIError
	var google *googleapi.Error
	var call *url.Error
	var file *fs.PathError
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
	case errors.As(err, &call):
		text = firstLine(call.Err.Error())
	case errors.As(err, &file): // without its path, after which no reason would fit into the line
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

// firstLine cuts a text to what fits into one line.
func firstLine(text string) string {
	const most = 300
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	if query := strings.IndexByte(text, '?'); query >= 0 && strings.Contains(text, "://") {
		text = text[:query]
	}
	return text[:min(len(text), most)]
}
