// Package where decides which rows of a segment match a condition (schemas.Condition).
//
// # Semantics
//
// A comparison with null is unknown, as in SQL, and so is one with NaN. not of unknown is
// unknown; all is false if any part is false, any is true if any part is true, and otherwise
// an unknown part makes both unknown. A row matches if the whole condition is true. So
// {column: Country, notEquals: NO} leaves out rows without a country; add {isNull: true} with
// any to keep them.
//
//	operator                          columns
//	is                                boolean
//	equals, notEquals, in, notIn      text, number, date
//	lessThan, atLeast                 text, number
//	before, after                     date, timestamp
//	isNull                            all
//
// Texts are compared byte by byte, so upper and lower case differ. Numbers are compared
// exactly, whatever the type of the column; with a float32 column, the number is rounded to
// float32 first. before and after are strict. A timestamp without a zone is in UTC. A date
// stands for its first moment in UTC where a timestamp is compared, and a date column is
// compared with the date that a moment has in UTC.
//
// # Statistics
//
// Filter.May evaluates the condition for bounds of the values in a row group or a file. Bounds
// need not be attained: writers truncate texts. They need not include NaN, since no comparison
// with it is true or false. Nothing is concluded from bounds that are missing or NaN.
//
//	compile.go  from a condition to a Filter
//	literal.go  texts, numbers and moments in a condition
//	compare.go  values of arrays compared with literals
//	eval.go     rows and statistics
package where
