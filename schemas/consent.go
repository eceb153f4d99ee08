package schemas

import (
	"crypto/sha256"
	"encoding/hex"
)

// ConsentStatement is the data privacy and compliance statement that an
// administrator agrees to before personal data is sent over a connection.
const ConsentStatement = `Data privacy and compliance

By agreeing, you allow this program to send people's data - e-mail addresses, user
ids and the mapped fields of the segments that are exported over this connection -
to Iterable, Inc., to the project that the connection's API key belongs to. The data
leaves the systems that it is in now, may be stored and processed in another country
(the project's data centre, United States or Europe), and is subject to Iterable's
terms and privacy policy from then on.

Your organization is responsible for having the right to do so: a legal basis for
each person in the segments, the agreements with Iterable that your laws ask for,
and a way to answer people who want to see, correct or delete their data. Ending the
connection stops further transfers; it deletes nothing in Iterable.`

// ConsentStatementSHA256 returns the statement's hash in hex.
func ConsentStatementSHA256() string {
	sum := sha256.Sum256([]byte(ConsentStatement))
	return hex.EncodeToString(sum[:])
}
