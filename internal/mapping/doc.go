// Package mapping turns the columns of a segment into the JSON of dataFields, and
// the user ID column into user IDs.
//
// A Mapper is compiled once from the columns, bound to each record in turn, and
// then appends one row after the other, straight from Arrow's buffers.
//
// # The JSON form of every type
//
//	Arrow type                          JSON                          type in Iterable
//	bool                                true, false                   boolean
//	int8 … int64, uint8 … uint64        number; beyond ±2^53 string   long
//	float16, float32, float64           number, shortest digits,      double
//	                                    always with a point or an
//	                                    exponent: 3.0, 1e+21
//	decimal128, decimal256, scale > 0   number with all its digits;   double
//	                                    string beyond 15 digits
//	decimal128, decimal256, scale ≤ 0   as an integer                 long
//	utf8, large_utf8, binary,           string                        string
//	large_binary, fixed_size_binary
//	date32, date64                      "2024-02-29"                  date
//	timestamp                           "2024-02-29 13:00:00 +00:00", date
//	                                    in UTC or the column's zone
//	time32, time64                      "13:00:00", "13:00:00.25"     string
//	duration                            "PT36H", "-PT0.5S" (ISO 8601) string
//	interval (all three)                "P14M", "P1M-2DT3.5S"         string
//	list, large_list, fixed_size_list,  array                         its elements'
//	list_view, large_list_view
//	struct                              object                        object
//	map with text as keys               object                        object
//	map with other keys                 [{"key":…,"value":…}]         object
//	dictionary                          as its values                 its values'
//	null                                no value                      –
//	sparse_union, dense_union           refused: no one form          –
//
// The readers decode Arrow's other types before: views are texts or bytes, runs are a
// dictionary, and an extension type is its storage.
//
// # Why these
//
// Iterable's numbers are long and double, and JSON numbers pass through doubles on
// many ways. So an integer beyond ±2^53, and a decimal of more than 15 digits that
// count, goes as a string, which is exact; Warnings says how many did. Floats
// always look like floats, because Iterable types a new field by its first value: a 3 would
// make it a long, which does not accept a 3.5 later.
//
// Timestamps are cut off to whole seconds, as Iterable's form yyyy-MM-dd HH:mm:ss
// ±HH:mm has no place for more. One without a zone is taken for UTC. Where a zone's
// offset was not whole minutes (before about 1900), the moment is written in UTC.
// Durations and times are strings because Iterable has no type for them; a
// duration with type: number is sent as seconds.
//
// # Nulls
//
// A null field is left out, or sent as null with nulls: send; so are null fields
// of structs and null values of maps that become objects. A null in an array is
// always sent, because leaving it out would move the others. A field that is left
// out keeps the value that it has in Iterable.
//
// # Values that can't be sent
//
// NaN and the infinities, text that is not UTF-8, dates outside the years 1 to
// 9999, times outside a day, map keys that are null, and what a forced type does
// not fit can't be sent. Such a field is left out, which LeftOut counts, or with
// onInvalid: reject makes an InvalidValue of the row. Iterable documents a limit of
// "approximately 32k characters" for a value; as it is not exact, longer values are
// sent, and left for Iterable to refuse.
//
// # Forced types
//
//	type       accepts
//	string     every scalar, in the form above
//	base64     text and bytes, in base64 (RFC 4648, section 4)
//	number     integers and decimals (never as strings), floats, durations as
//	           seconds, text that is a JSON number
//	boolean    booleans, integers 0 and 1, text true, false, 1, 0 in any case
//	date       dates, timestamps, text as yyyy-MM-dd, or with a time, with or
//	           without an offset (RFC 3339 or a space for the T)
//	object     structs, maps with text as keys, text that is a JSON object
//	array      lists, text that is a JSON array
//
// # Constants, transforms and defaults
//
// A column with a Value is a constant. Transforms change texts before they become JSON: see
// transforms. A default stands for null, after the transforms; it must have the kind of the
// column's values.
//
// # Names
//
// Compile refuses names that Iterable manages itself, that it would read as paths, or that
// its Data Schema Management does not accept, and two fields with names that differ at most
// in case. See names.go for the lists and their sources.
package mapping
