package storage

import (
	"strconv"
	"strings"

	"cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	azureblob "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"gocloud.dev/blob"

	// The kinds of buckets.
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob"
)

// listedVersion returns the version of an object in a listing: the ETag, or Google's
// generation. It is empty if the driver has no versions.
func listedVersion(o *blob.ListObject) string {
	var az container.BlobItem
	var aws types.Object
	var gcs storage.ObjectAttrs
	switch {
	case o.As(&az):
		if az.Properties != nil && az.Properties.ETag != nil {
			return unquoted(string(*az.Properties.ETag))
		}
	case o.As(&aws):
		if aws.ETag != nil {
			return unquoted(*aws.ETag)
		}
	case o.As(&gcs):
		return strconv.FormatInt(gcs.Generation, 10)
	}
	return ""
}

// currentVersion returns the version in an object's attributes.
func currentVersion(a *blob.Attributes) string {
	var gcs storage.ObjectAttrs
	if a.As(&gcs) {
		return strconv.FormatInt(gcs.Generation, 10)
	}
	return unquoted(a.ETag)
}

// servedVersion returns the version of the object that is read, or "" if the service
// does not send it. Some S3-compatible servers ignore the requested version.
func servedVersion(r *blob.Reader) string {
	var az azureblob.DownloadStreamResponse
	var aws s3.GetObjectOutput
	var gcs *storage.Reader
	switch {
	case r.As(&az) && az.ETag != nil:
		return unquoted(string(*az.ETag))
	case r.As(&aws) && aws.ETag != nil:
		return unquoted(*aws.ETag)
	case r.As(&gcs) && gcs.Attrs.Generation > 0:
		return strconv.FormatInt(gcs.Attrs.Generation, 10)
	}
	return ""
}

// unquoted returns an ETag without its quotes, which Azure's listings leave out.
func unquoted(tag string) string { return strings.Trim(tag, `"`) }

// readVersion returns options that make a read of another version fail.
func readVersion(version string) *blob.ReaderOptions {
	if version == "" {
		return nil
	}
	return &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		var az *azblob.DownloadStreamOptions
		var aws *s3.GetObjectInput
		var gcs **storage.ObjectHandle
		switch {
		case as(&az):
			tag := azcore.ETag(strconv.Quote(version))
			if az.AccessConditions == nil {
				az.AccessConditions = &azureblob.AccessConditions{}
			}
			az.AccessConditions.ModifiedAccessConditions = &azureblob.ModifiedAccessConditions{IfMatch: &tag}
		case as(&aws):
			tag := strconv.Quote(version)
			aws.IfMatch = &tag
		case as(&gcs):
			generation, err := strconv.ParseInt(version, 10, 64)
			if err != nil {
				return err
			}
			*gcs = (*gcs).Generation(generation)
		}
		return nil
	}}
}
