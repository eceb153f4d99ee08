package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azureblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"gocloud.dev/blob"
)

// escapedInAzure are the characters that gocloud escapes in names of blobs. Other
// writers don't escape them (the % in names of Hive's partitions, for example);
// gocloud lists such blobs but can't read them.
const escapedInAzure = "\"#%?\\"

// isExact reports whether a listed blob must be requested by its unescaped name.
func isExact(o *blob.ListObject) bool {
	var az container.BlobItem
	return strings.ContainsAny(o.Key, escapedInAzure) && o.As(&az) && az.Name != nil && *az.Name == o.Key
}

// exactBlob returns a client of the blob with the unescaped name key.
func exactBlob(bucket *blob.Bucket, key string) (*azureblob.Client, error) {
	var c *container.Client
	if !bucket.As(&c) {
		return nil, errors.New("the bucket is not an Azure container")
	}
	return c.NewBlobClient(key), nil
}

// readExact reads a range of a blob by its unescaped name, and checks its version.
func (o *object) readExact(ctx context.Context, off, length int64) (io.ReadCloser, error) {
	c, err := exactBlob(o.bucket, o.key)
	if err != nil {
		return nil, err
	}
	options := &azureblob.DownloadStreamOptions{Range: azureblob.HTTPRange{Offset: off, Count: length}}
	if o.version != "" {
		tag := azcore.ETag(strconv.Quote(o.version))
		options.AccessConditions = &azureblob.AccessConditions{ModifiedAccessConditions: &azureblob.ModifiedAccessConditions{IfMatch: &tag}}
	}
	r, err := c.DownloadStream(ctx, options)
	if err != nil {
		return nil, err
	}
	if r.ContentRange != nil && !strings.HasSuffix(*r.ContentRange, fmt.Sprintf("/%d", o.size)) {
		_ = r.Body.Close()
		return nil, errChanged(o.name, "it was replaced")
	}
	return r.Body, nil
}

// attributes returns the current size, version and time of an object.
func attributes(ctx context.Context, bucket *blob.Bucket, key string, exact bool) (*blob.Attributes, error) {
	if !exact {
		return bucket.Attributes(ctx, key)
	}
	c, err := exactBlob(bucket, key)
	if err != nil {
		return nil, err
	}
	p, err := c.GetProperties(ctx, nil)
	if err != nil {
		return nil, err
	}
	a := &blob.Attributes{}
	if p.ContentLength != nil {
		a.Size = *p.ContentLength
	}
	if p.ETag != nil {
		a.ETag = string(*p.ETag)
	}
	return a, nil
}
