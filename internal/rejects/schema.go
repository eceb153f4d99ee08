package rejects

import "github.com/apache/arrow/go/v15/arrow"

// rejectSchema is the schema of rejects.parquet.
//
//	file     the source file's name
//	row      the row's number in the file, from 0
//	column   the column at fault
//	value    what stands there, null for forgotten profiles and missing values
//	reason   a schemas.Reason
//	message  the reason in words
var rejectSchema = arrow.NewSchema([]arrow.Field{
	{Name: "file", Type: arrow.BinaryTypes.String},
	{Name: "row", Type: arrow.PrimitiveTypes.Int64},
	{Name: "column", Type: arrow.BinaryTypes.String},
	{Name: "value", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "reason", Type: arrow.BinaryTypes.String},
	{Name: "message", Type: arrow.BinaryTypes.String},
}, nil)

// RowSchema is the schema of rows.parquet.
//
//	email    the normalised address; null where the row has none, with recordIdentity: hash,
//	         and for forgotten profiles
//	user_id  the user ID, or null likewise
//	person   with recordIdentity: hash, the SHA-256 of the address in hexadecimal, or of the
//	         user ID where there is no address
//	outcome  a schemas.Outcome
//	reason   a schemas.Reason, or for removed members why; field_left_out for rows that were sent
//	         or are unchanged without a value; null for others
//	column   the column at fault of a rejected row, or the columns whose values were left
//	         out, with ", " between them
//	file     the source file's name, null for members that no row has
//	row      the row's number in the file, from 0
//	request  the request that sent the profile: add or remove, and its first batch
//	time     when Iterable answered that request
var RowSchema = arrow.NewSchema([]arrow.Field{
	{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "user_id", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "person", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "outcome", Type: arrow.BinaryTypes.String},
	{Name: "reason", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "column", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "file", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "row", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "request", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "time", Type: arrow.FixedWidthTypes.Timestamp_ms, Nullable: true},
}, nil)
