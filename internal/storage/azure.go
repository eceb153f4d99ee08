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

// escapedInAzure are the characters that gocloud writes in another form into names
// of blobs. Blobs of other writers have them as they are, Hive's partitions a % say,
// and gocloud lists those but can't ask for them.
const escapedInAzure = "\"#%?\\"

// isExact reports whether a listed blob has to be asked for by its very name.
func isExact(o *blob.ListObject) bool {
	var az container.BlobItem
	return strings.ContainsAny(o.Key, escapedInAzure) && o.As(&az) && az.Name != nil && *az.Name == o.Key
}

// exactBlob is the client of a blob by its very name.
func exactBlob(bucket *blob.Bucket, key string) (*azureblob.Client, error) {
	var c *container.Client
	if !bucket.As(&c) {
		return nil, errors.New("the bucket is not one of Azure's")
	}
	return c.NewBlobClient(key), nil
}

// readExact reads a range of a blob by its very name, and checks its version.
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

// attributes are the size, the version and the time of an object as it is now.
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
