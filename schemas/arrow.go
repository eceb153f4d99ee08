package schemas

import "github.com/apache/arrow/go/v15/arrow"

// StagedSchema is the schema of adds.arrow and removes.arrow. Each record batch
// of the file is one API request.
//
//	email        the normalised address, null where only the user id identifies
//	user_id      the user id, null where only the address identifies
//	data_fields  the mapped fields as one JSON object, null where none is mapped
//	file         the row's source file, an index into the segment's sorted files
//	row          the row's number in that file, from 0
//	key          128-bit hash of what identifies the profile
//	fields       64-bit hash of the user id and the data fields
var StagedSchema = arrow.NewSchema([]arrow.Field{
	{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "user_id", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "data_fields", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "file", Type: arrow.PrimitiveTypes.Int32},
	{Name: "row", Type: arrow.PrimitiveTypes.Int64},
	{Name: "key", Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}},
	{Name: "fields", Type: arrow.PrimitiveTypes.Uint64},
}, nil)

// SnapshotSchema is the schema of a snapshot: the members that the last
// successful run left in the list, in ascending order of key.
var SnapshotSchema = arrow.NewSchema([]arrow.Field{
	{Name: "key", Type: &arrow.FixedSizeBinaryType{ByteWidth: 16}},
	{Name: "fields", Type: arrow.PrimitiveTypes.Uint64},
	{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "user_id", Type: arrow.BinaryTypes.String, Nullable: true},
}, nil)
