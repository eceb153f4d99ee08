package storage

import (
	"cmp"
	"strings"

	azure "gocloud.dev/blob/azureblob"
)

// Reads reports whether a source in a bucket reads an object, by its URL, or may: of a
// pattern the part before the first wildcard is compared. The URL of an Azure object names
// its account; a source without one is of the account of this process's environment, and may be
// of any account if there is none.
func Reads(source, object string) bool {
	if !isBucket(source) || !isBucket(object) {
		return false
	}
	mine, err := parseBucketURL(source)
	if err != nil {
		return false
	}
	other, err := parseBucketURL(object)
	if err != nil || mine.scheme != other.scheme || mine.bucket != other.bucket {
		return false
	}
	if account := cmp.Or(mine.params.Get("storage_account"), azureAccount()); mine.scheme == azureScheme && account != "" && account != other.params.Get("storage_account") {
		return false
	}
	base, rest := mine.key, ""
	if strings.ContainsAny(mine.pattern, wildcards) {
		base, rest = splitPattern(mine.pattern)
	}
	return base == "" || rest == "" && other.key == base || strings.HasPrefix(other.key, base+"/")
}

// azureAccount returns the account of this process's environment: a variable's, or a connection string's.
func azureAccount() string { return azure.NewDefaultServiceURLOptions().AccountName }

// ObjectURL returns the URL of an object in a bucket, as Reads compares it. The scheme is
// s3, gs or azblob; account is Azure's, or empty.
func ObjectURL(scheme, bucket, key, account string) string {
	b := bucketURL{scheme: scheme, bucket: bucket}
	if account != "" {
		b.params = map[string][]string{"storage_account": {account}}
	}
	return b.object(key)
}
