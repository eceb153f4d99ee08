package storage

import "testing"

func TestReads(t *testing.T) {
	for _, name := range []string{"AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGEBLOB_CONNECTIONSTRING"} {
		t.Setenv(name, "") // then an account that a source does not name is not known
	}
	for _, c := range []struct {
		source, object string
		want           bool
	}{
		{"s3://lake/vip", ObjectURL("s3", "lake", "vip/a.parquet", ""), true},
		{"s3://lake/vip/", ObjectURL("s3", "lake", "vip/day=1/a b.parquet", ""), true},
		{"s3://lake/vip?region=eu-west-1", ObjectURL("s3", "lake", "vip/a.parquet", ""), true},
		{"s3://lake/vip", ObjectURL("s3", "lake", "vip-secret/a.parquet", ""), false},
		{"s3://lake/vip/a.parquet", ObjectURL("s3", "lake", "vip/a.parquet", ""), true},
		{"s3://lake/vip/a.parquet", ObjectURL("s3", "lake", "vip/b.parquet", ""), false},
		{"s3://lake/vip/*.parquet", ObjectURL("s3", "lake", "vip/_temporary/0/a", ""), true}, // the run will see
		{"s3://lake/vip/*.parquet", ObjectURL("s3", "lake", "other/a.parquet", ""), false},
		{"s3://lake", ObjectURL("s3", "lake", "a", ""), true},
		{"s3://lake", ObjectURL("s3", "other", "a", ""), false},
		{"gs://lake/vip", ObjectURL("s3", "lake", "vip/a", ""), false},
		{"azblob://lake/vip", ObjectURL("azblob", "lake", "vip/a", "account"), true},
		{"azblob://lake/vip?storage_account=account", ObjectURL("azblob", "lake", "vip/a", "account"), true},
		{"azblob://lake/vip?storage_account=account", ObjectURL("azblob", "lake", "vip/a", "another"), false},
		{"abfss://lake@account.dfs.core.windows.net/vip", ObjectURL("azblob", "lake", "vip/a", "account"), true},
		{"/srv/segments", ObjectURL("s3", "lake", "srv/segments/a", ""), false},
		{"file:///srv/segments", "file:///srv/segments/a", false},
	} {
		if got := Reads(c.source, c.object); got != c.want {
			t.Errorf("%s reads %s: %v", c.source, c.object, got)
		}
	}
}

// TestEventsOfAnotherAzureAccount: a source that names no account is read with that of the
// environment.
func TestEventsOfAnotherAzureAccount(t *testing.T) {
	ours, theirs := ObjectURL("azblob", "lake", "vip/a", "ours"), ObjectURL("azblob", "lake", "vip/a", "theirs")
	for name, variables := range map[string]map[string]string{
		"account":           {"AZURE_STORAGE_ACCOUNT": "ours"},
		"connection string": {"AZURE_STORAGE_ACCOUNT": "", "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=https;AccountName=ours;AccountKey=a2V5"},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range variables {
				t.Setenv(name, value)
			}
			if !Reads("azblob://lake/vip", ours) || Reads("azblob://lake/vip", theirs) || !Reads("azblob://lake/vip?storage_account=theirs", theirs) {
				t.Error("the account is not compared")
			}
			mine, err := parseBucketURL("azblob://lake/vip")
			if err != nil {
				t.Fatal(err)
			}
			for account, want := range map[string]bool{"ours": true, "theirs": false} {
				other, err := parseBucketURL("azblob://lake/vip/a?storage_account=" + account)
				if err != nil || mine.holds(other) != want {
					t.Errorf("the folder has the object of account %q: %v, %v", account, !want, err)
				}
			}
			if !Reads("s3://lake/vip", ObjectURL("s3", "lake", "vip/a", "")) {
				t.Error("it is compared for S3 too")
			}
		})
	}
}
