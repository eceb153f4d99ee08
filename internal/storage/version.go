package storage

import (
	"strconv"

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

// listedVersion is what tells one content of an object from another one of the
// same name, as a listing has it: the ETag, or Google's generation. It is empty
// where the driver has none.
func listedVersion(o *blob.ListObject) string {
	var az container.BlobItem
	var aws types.Object
	var gcs storage.ObjectAttrs
	switch {
	case o.As(&az):
		if az.Properties != nil && az.Properties.ETag != nil {
			return string(*az.Properties.ETag)
		}
	case o.As(&aws):
		if aws.ETag != nil {
			return *aws.ETag
		}
	case o.As(&gcs):
		return strconv.FormatInt(gcs.Generation, 10)
	}
	return ""
}

// currentVersion is the version of an object whose attributes were asked for.
func currentVersion(a *blob.Attributes) string {
	var gcs storage.ObjectAttrs
	if a.As(&gcs) {
		return strconv.FormatInt(gcs.Generation, 10)
	}
	return a.ETag
}

// readVersion makes a read fail unless it is of that version.
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
			tag := azcore.ETag(version)
			if az.AccessConditions == nil {
				az.AccessConditions = &azureblob.AccessConditions{}
			}
			az.AccessConditions.ModifiedAccessConditions = &azureblob.ModifiedAccessConditions{IfMatch: &tag}
		case as(&aws):
			aws.IfMatch = &version
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
