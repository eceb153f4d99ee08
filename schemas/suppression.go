package schemas

// Suppression is a suppression list: a source of people who are never sent over a connection,
// and who are removed from the lists that exports over it have put them on.
type Suppression struct {
	// Name identifies the list in messages; unique in its connection.
	Name string `json:"name"`
	// Source is as a Segment's. It need not be in AllowedSources, and segments may not read it.
	Source string `json:"source"`
	// Email names the column with addresses, or EmailSHA256 that with their SHA-256: trimmed and in lower
	// case before hashing, in hexadecimal or as bytes.
	Email       string `json:"email,omitempty"`
	EmailSHA256 string `json:"emailSHA256,omitempty"`
	// UserID names the column with user IDs, or UserIDSHA256 that with their SHA-256.
	UserID       string `json:"userID,omitempty"`
	UserIDSHA256 string `json:"userIDSHA256,omitempty"`
}

// ByEmail reports whether the list has addresses or their hashes.
func (s Suppression) ByEmail() bool { return s.Email+s.EmailSHA256 != "" }

// ByUserID reports whether the list has user IDs or their hashes.
func (s Suppression) ByUserID() bool { return s.UserID+s.UserIDSHA256 != "" }
