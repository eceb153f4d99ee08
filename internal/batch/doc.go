// Package batch cuts profiles into batches, one batch for each API request,
// keeps them in the staged file, and writes the JSON bodies of the requests.
//
// # The staged file
//
// The staged file is an Arrow IPC file of schemas.StagedSchema in which each
// record batch is one request: at most so many profiles, and a body of at most
// so many bytes, measured as the body will be written. Its footer is the index,
// so batch k can be read alone, and any Arrow reader can open the file.
//
// Between the last record batch and the footer lies one block that Arrow's
// readers skip: a 64-bit checksum of each batch's content and one of the footer. A
// row with a flipped bit would otherwise be mailed to somebody else.
//
// # Bodies
//
// A profile's data fields are JSON text already when they are staged, so writing
// a body is copying. AppendSubscribe and AppendUnsubscribe take a range of rows,
// so that halving a refused request needs nothing more than a smaller range.
package batch
