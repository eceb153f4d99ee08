package schemas

import "go.temporal.io/api/enums/v1"

// Names of the search attributes that runs set where the namespace has them.
const (
	AttributeExport     = "ExportName"
	AttributeSegment    = "SegmentName"
	AttributeState      = "ExportState"
	AttributeConnection = "ConnectionName"
	AttributeSent       = "ProfilesSent"
	AttributeRejected   = "ProfilesRejected"
)

// SearchAttributes are the search attributes of the project with their types.
var SearchAttributes = map[string]enums.IndexedValueType{
	AttributeExport:     enums.INDEXED_VALUE_TYPE_KEYWORD,
	AttributeSegment:    enums.INDEXED_VALUE_TYPE_KEYWORD,
	AttributeState:      enums.INDEXED_VALUE_TYPE_KEYWORD,
	AttributeConnection: enums.INDEXED_VALUE_TYPE_KEYWORD,
	AttributeSent:       enums.INDEXED_VALUE_TYPE_INT,
	AttributeRejected:   enums.INDEXED_VALUE_TYPE_INT,
}
