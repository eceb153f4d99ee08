// Package generate writes segments of invented profiles, for demonstrations, tests and
// benchmarks, and returns what a run should do with them. It computes that from what it wrote,
// and never from the code under test.
//
//	generate.go  the options, the expectation, the folder
//	plan.go      what stands in each row, and the expectation, by computation
//	shuffle.go   chance
//	address.go   addresses, good and bad; names.go has what they are made of
//	rows.go      the columns; schema.go names them
//	write.go     the files
//
// Its tests also keep the small segments of examples/ (see examples_test.go).
package generate
