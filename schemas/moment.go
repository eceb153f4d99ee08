package schemas

import "time"

// Moment returns a time for people, in UTC to the second: 2024-02-29 13:00:00 UTC.
func Moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Day returns the day of a time for people, in UTC: 2024-02-29 UTC.
func Day(t time.Time) string { return t.UTC().Format("2006-01-02 UTC") }
