package generate

import "github.com/apache/arrow/go/v15/arrow"

// Schema is the schema of a generated segment. EmailAddress and CustomerId identify a profile;
// all columns except CustomerId can be null.
var Schema = arrow.NewSchema([]arrow.Field{
	{Name: "CustomerId", Type: arrow.BinaryTypes.String},
	{Name: "EmailAddress", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "FirstName", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "LastName", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "City", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "Country", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "Age", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: "LifetimeValue", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "Points", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "Subscribed", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "CreatedAt", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, Nullable: true},
	{Name: "LastPurchase", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
	{Name: "Address", Type: arrow.StructOf(
		arrow.Field{Name: "Street", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "PostalCode", Type: arrow.BinaryTypes.String, Nullable: true},
	), Nullable: true},
	{Name: "Interests", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
}, nil)
